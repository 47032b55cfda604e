// y = the clock, one step later.
//
// Layout: a clock is seed low, seed high, step, unused. Reference: src/ops/random/mod.rs. One
// invocation does all.
// Overrides: workgroup_size. Providers: load and store (lib/separate or lib/in_place), lib/grid.

override workgroup_size: u32 = 64u;

alias Element = vec4<u32>;

const OLD: u32 = 0u;

struct Params {
    grid: Grid,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    if workgroup_index(group) == 0u && local == 0u {
        store(0u, load(0u) + vec4<u32>(0u, 0u, 1u, 0u));
    }
}
