// Bytes first_y to first_y + bytes - 1 of y = as many of x from byte first_x on: runs of any
// element type.
//
// Layout: four bytes to a little-endian word; the other bytes of y's first and last word stay.
// Reference: src/lowering/copy.rs.
// One invocation writes one word of y, one workgroup workgroup_size of them. Overrides:
// workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    words: u32,
    first_x: u32,
    first_y: u32,
    bytes: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

// Byte `at` of x.
fn byte(at: u32) -> u32 {
    return (x[at / 4u] >> (at % 4u * 8u)) & 0xffu;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.words {
        let at = params.first_y / 4u + i;
        let end = params.first_y + params.bytes;
        let source = params.first_x + 4u * at - params.first_y;
        if 4u * at >= params.first_y && 4u * at + 4u <= end && source % 4u == 0u {
            y[at] = x[source / 4u];
        } else {
            var word = y[at];
            for (var lane = 0u; lane < 4u; lane++) {
                let to = 4u * at + lane;
                if to >= params.first_y && to < end {
                    let shift = 8u * lane;
                    word = (word & ~(0xffu << shift))
                        | (byte(params.first_x + to - params.first_y) << shift);
                }
            }
            y[at] = word;
        }
    }
}
