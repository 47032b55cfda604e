// y = table[min(step, count - 1)], the step taken from the clock.
//
// Layout: table [count], y [], clock as in src/graph/mod.rs. Reference: src/ops/optim/schedule.rs.
// One workgroup of one invocation. Providers: lib/grid.

struct Params {
    grid: Grid,
    count: u32,
}

@group(0) @binding(0) var<storage, read> table: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> clock: vec4<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    if workgroup_index(group) == 0u {
        y[0] = table[min(clock.z, params.count - 1u)];
    }
}
