// clock = before, one step later.
//
// Layout: a clock is seed low, seed high, step, unused. Reference: src/ops/random.rs. One invocation does all.
// Overrides: workgroup_size. Providers: before, clock and params (advance_separate or advance_in_place), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    if (workgroup_index(group) == 0u && local == 0u) {
        clock[0] = before() + vec4<u32>(0u, 0u, 1u, 0u);
    }
}
