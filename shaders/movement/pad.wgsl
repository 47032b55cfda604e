// y[i] = x[the element that stands at place i - before along each axis], for padding that repeats
// elements.
//
// Layout: as pad_params says. Reference: src/ops/movement/pad.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides:
// workgroup_size. Providers: pad_params, lib/pad, lib/grid.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
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
