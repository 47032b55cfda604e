// dx = share of the elements x that equal y, else 0; or (x - y) * share. y and share are the reductions that x entered.
//
// Layout: a box of x as at most six axes, outermost first: extent and strides in x and in y of each, the latter 0 where x was reduced;
// x_base and y_base are where it begins. Reference: src/ops/reduce.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides: function (0 equal, 1 difference),
// axes (3 or 6: the axes outside the innermost so many have extent 1), workgroup_size. Providers: lib/grid, lib/float.

override function: u32 = 0u;
override axes: u32 = 6u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
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

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> share: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let i5 = i % params.extent5;
        var rest = i / params.extent5;
        let i4 = rest % params.extent4;
        rest = rest / params.extent4;
        var at = params.x_base + i5 * params.x5 + i4 * params.x4;
        var output = params.y_base + i5 * params.y5 + i4 * params.y4;
        if (axes == 3u) {
            at += rest * params.x3;
            output += rest * params.y3;
        } else {
            let i3 = rest % params.extent3;
            rest = rest / params.extent3;
            let i2 = rest % params.extent2;
            rest = rest / params.extent2;
            let i1 = rest % params.extent1;
            let i0 = rest / params.extent1;
            at += i3 * params.x3 + i2 * params.x2 + i1 * params.x1 + i0 * params.x0;
            output += i3 * params.y3 + i2 * params.y2 + i1 * params.y1 + i0 * params.y0;
        }
        let value = x[at];
        let reduced = y[output];
        if (function == 1u) {
            dx[at] = (value - reduced) * share[output];
        } else {
            let both_nan = is_nan(value) && is_nan(reduced);
            let equal = value == reduced && !is_nan(value) && !is_nan(reduced);
            dx[at] = select(0.0, share[output], equal || both_nan);
        }
    }
}
