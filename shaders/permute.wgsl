// y = x with its axes in another order, for elements of one word.
//
// Layout: the output as at most six merged axes, outermost first; extent and stride in the input of each. Counts and strides are in
// elements or in quads, as the provider says. Reference: src/ops/movement.rs.
// One invocation moves one element or quad, one workgroup workgroup_size of them.
// Overrides: axes (4: axes 0 and 1 have extent 1; or 6), workgroup_size.
// Providers: x, y and params (permute_elements or permute_quads), lib/grid.

override axes: u32 = 6u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    extent0: u32,
    stride0: u32,
    extent1: u32,
    stride1: u32,
    extent2: u32,
    stride2: u32,
    extent3: u32,
    stride3: u32,
    extent4: u32,
    stride4: u32,
    extent5: u32,
    stride5: u32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let i5 = i % params.extent5;
        var rest = i / params.extent5;
        let i4 = rest % params.extent4;
        rest = rest / params.extent4;
        let i3 = rest % params.extent3;
        rest = rest / params.extent3;
        var at = i3 * params.stride3 + i4 * params.stride4 + i5 * params.stride5;
        if (axes == 4u) {
            at += rest * params.stride2;
        } else {
            let i2 = rest % params.extent2;
            rest = rest / params.extent2;
            let i1 = rest % params.extent1;
            let i0 = rest / params.extent1;
            at += i0 * params.stride0 + i1 * params.stride1 + i2 * params.stride2;
        }
        y[i] = x[at];
    }
}
