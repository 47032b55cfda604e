// above[b] = sum of the up to 16 blocks of the level below that block b holds: sums of channels,
// for long windows.
//
// Layout: both levels [rows, blocks, plane]; block b holds those from 16 * b on of the level below,
// whose blocks are the channels at level 0. Reference: src/ops/norm/local_response_norm.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides:
// workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    below_blocks: u32,
    above_blocks: u32,
    plane: u32,
}

@group(0) @binding(0) var<storage, read> below: array<f32>;
@group(0) @binding(1) var<storage, read_write> above: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let line = i / params.plane;
        let row = line / params.above_blocks;
        let first = 16u * (line - row * params.above_blocks);
        let last = min(first + 16u, params.below_blocks);
        let base = row * params.below_blocks * params.plane + i - line * params.plane;
        var sum = 0.0;
        for (var block = first; block < last; block += 1u) {
            sum += below[base + block * params.plane];
        }
        above[i] = sum;
    }
}
