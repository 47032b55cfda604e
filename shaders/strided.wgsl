// y[base_y + sum of i_k * y_k] = x[base_x + sum of i_k * x_k]: a box of elements of one word moved from one place to another.
//
// Layout: the box as at most six merged axes, outermost first; extent and strides in x and y of each. Counts, bases and strides are in
// elements or in quads, as the provider says; a stride that runs backwards wraps. Reference: src/ops/movement.rs.
// One invocation moves one element or quad, one workgroup workgroup_size of them.
// Overrides: axes (2, 4 or 6: the axes outside the innermost so many have extent 1), workgroup_size.
// Providers: x, y and params (strided_elements or strided_quads), lib/grid.

override axes: u32 = 6u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base_x: u32,
    base_y: u32,
    extent0: u32,
    x0: u32,
    y0: u32,
    extent1: u32,
    x1: u32,
    y1: u32,
    extent2: u32,
    x2: u32,
    y2: u32,
    extent3: u32,
    x3: u32,
    y3: u32,
    extent4: u32,
    x4: u32,
    y4: u32,
    extent5: u32,
    x5: u32,
    y5: u32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let i5 = i % params.extent5;
        var rest = i / params.extent5;
        var at_x = params.base_x + i5 * params.x5;
        var at_y = params.base_y + i5 * params.y5;
        if (axes > 2u) {
            let i4 = rest % params.extent4;
            rest = rest / params.extent4;
            let i3 = rest % params.extent3;
            rest = rest / params.extent3;
            at_x += i4 * params.x4 + i3 * params.x3;
            at_y += i4 * params.y4 + i3 * params.y3;
            if (axes > 4u) {
                let i2 = rest % params.extent2;
                rest = rest / params.extent2;
                let i1 = rest % params.extent1;
                let i0 = rest / params.extent1;
                at_x += i2 * params.x2 + i1 * params.x1 + i0 * params.x0;
                at_y += i2 * params.y2 + i1 * params.y1 + i0 * params.y0;
            } else {
                at_x += rest * params.x2;
                at_y += rest * params.y2;
            }
        } else {
            at_x += rest * params.x4;
            at_y += rest * params.y4;
        }
        y[at_y] = x[at_x];
    }
}
