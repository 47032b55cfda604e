// y[i] = x[the element that stands at place i - before along each axis], for padding that repeats elements.
//
// Layout: x and y as four axes, outermost first: extents in x, in y, and how much is added before each. Modes as lib/pad.
// Reference: src/ops/pad.rs. One invocation makes one element, one workgroup workgroup_size of them. x_base and y_base are where x
// and y begin. Overrides: workgroup_size. Providers: lib/pad, lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
    mode: u32,
    x0: u32,
    y0: u32,
    before0: u32,
    x1: u32,
    y1: u32,
    before1: u32,
    x2: u32,
    y2: u32,
    before2: u32,
    x3: u32,
    y3: u32,
    before3: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let i3 = i % params.y3;
        var rest = i / params.y3;
        let i2 = rest % params.y2;
        rest = rest / params.y2;
        let i1 = rest % params.y1;
        let i0 = rest / params.y1;
        var at = pad_source(params.mode, i0 - params.before0, params.x0);
        at = at * params.x1 + pad_source(params.mode, i1 - params.before1, params.x1);
        at = at * params.x2 + pad_source(params.mode, i2 - params.before2, params.x2);
        at = at * params.x3 + pad_source(params.mode, i3 - params.before3, params.x3);
        y[params.y_base + i] = x[params.x_base + at];
    }
}
