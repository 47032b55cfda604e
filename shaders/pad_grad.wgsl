// dx[i] = sum of dy[j] over the places j at which element i of x stands, for padding that repeats elements.
//
// Layout: dx and dy as four axes, outermost first: extents in x, in y, and how much is added before and after each. Modes as lib/pad.
// Reference: src/ops/pad.rs. One invocation makes one element, one workgroup workgroup_size of them. x_base and y_base are where dx
// and dy begin. Overrides: workgroup_size. Providers: lib/pad, lib/grid.

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

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let i3 = i % params.x3;
        var rest = i / params.x3;
        let i2 = rest % params.x2;
        rest = rest / params.x2;
        let i1 = rest % params.x1;
        let i0 = rest / params.x1;
        let mode = params.mode;
        let count0 = pad_count(mode, i0, params.x0, params.before0, params.y0 - params.x0 - params.before0);
        let count1 = pad_count(mode, i1, params.x1, params.before1, params.y1 - params.x1 - params.before1);
        let count2 = pad_count(mode, i2, params.x2, params.before2, params.y2 - params.x2 - params.before2);
        let count3 = pad_count(mode, i3, params.x3, params.before3, params.y3 - params.x3 - params.before3);
        var sum = 0.0;
        for (var j0 = 0u; j0 < count0; j0++) {
            let at0 = params.before0 + pad_place(mode, i0, j0, params.x0, params.before0);
            for (var j1 = 0u; j1 < count1; j1++) {
                let at1 = at0 * params.y1 + params.before1 + pad_place(mode, i1, j1, params.x1, params.before1);
                for (var j2 = 0u; j2 < count2; j2++) {
                    let at2 = at1 * params.y2 + params.before2 + pad_place(mode, i2, j2, params.x2, params.before2);
                    for (var j3 = 0u; j3 < count3; j3++) {
                        let at3 = params.before3 + pad_place(mode, i3, j3, params.x3, params.before3);
                        sum += dy[params.y_base + at2 * params.y3 + at3];
                    }
                }
            }
        }
        dx[params.x_base + i] = sum;
    }
}
