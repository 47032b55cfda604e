// y[a] += before[block of a - 1] along one axis, of all blocks but the first.
//
// Layout: y [outer, extent, inner] from its base on, before [outer, blocks, inner]; element a of y
// is the one at place a along the axis, or at the same distance from the end where y_reverse is 1.
// Reference: src/ops/reduce/cumsum.rs. One invocation makes one element, one workgroup
// workgroup_size of them.
// Overrides: workgroup_size. Providers: lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    blocks: u32,
    extent: u32,
    inner: u32,
    block: u32,
    y_base: u32,
    y_reverse: u32,
}

@group(0) @binding(0) var<storage, read> before: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = workgroup_index(group) * workgroup_size + local;
    if at < params.count {
        let rest = quotient(at, params.inner);
        let i = at - rest * params.inner;
        let outer = quotient(rest, params.extent);
        let place = rest - outer * params.extent;
        let a = select(place, params.extent - 1u - place, params.y_reverse == 1u);
        let block = quotient(a, params.block);
        if block > 0u {
            let earlier = (outer * params.blocks + block - 1u) * params.inner + i;
            y[params.y_base + at] += before[earlier];
        }
    }
}
