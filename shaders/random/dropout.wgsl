// y[i] = x[i] * m, m being scale where the uniform number i is at least p, else 0.
//
// Layout: x and y are any shape, four elements at a time, from element 4 * block + offset of the
// whole on; clock is seed low, seed high, step, unused. The four numbers of element 4b to 4b + 3 of
// the whole are Philox block b of (stream, step).
// Reference: src/ops/random/mod.rs.
// One invocation makes 4 elements, one workgroup 4 * workgroup_size. Overrides: workgroup_size.
// Providers: load and store (lib/separate or lib/in_place), lib/philox, lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    block: u32,
    offset: u32,
    stream: u32,
    p: f32,
    scale: f32,
}

alias Element = vec4<f32>;

const OLD: u32 = 1u;

@group(0) @binding(0) var<uniform> clock: vec4<u32>;

fn units(block: u32) -> vec4<f32> {
    return unit4(philox(vec4<u32>(block, 0u, params.stream, clock.z), clock.xy));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        let block = params.block + i;
        var unit = units(block);
        // A part may begin inside a block.
        if params.offset != 0u {
            let next = units(block + 1u);
            if params.offset == 1u {
                unit = vec4<f32>(unit.yzw, next.x);
            } else if params.offset == 2u {
                unit = vec4<f32>(unit.zw, next.xy);
            } else {
                unit = vec4<f32>(unit.w, next.xyz);
            }
        }
        store(
            i,
            load(i) * select(vec4<f32>(0.0), vec4<f32>(params.scale), unit >= vec4<f32>(params.p)),
        );
    }
}
