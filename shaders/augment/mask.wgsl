// y[n, y, x] = mask n at the pixel nearest to matrix(x, y), as row n says; fill outside.
//
// Layout: masks and y [rows, height, width], rows [rows, words], each from its first element on.
// Reference: src/ops/augment/mask.rs.
// One invocation makes an element, one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: augment/row, augment/geometry, lib/fixed, lib/philox,
// lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    first_mask: u32,
    first_row: u32,
    first_y: u32,
    height: u32,
    width: u32,
    words: u32,
    knots: u32,
    step_x: u32,
    step_y: u32,
    fill: u32,
}

@group(0) @binding(0) var<storage, read> masks: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let plane = params.height * params.width;
        let sample = quotient(i, plane);
        let pixel = i - sample * plane;
        let line = quotient(pixel, params.width);
        let column = pixel - line * params.width;
        let base = params.first_row + sample * params.words;
        let at = nearest(base, column, line);
        var value = params.fill;
        if all(at >= vec2<i32>()) {
            let first = params.first_mask + sample * plane;
            value = masks[first + u32(at.y) * params.width + u32(at.x)];
        }
        y[params.first_y + i] = value;
    }
}
