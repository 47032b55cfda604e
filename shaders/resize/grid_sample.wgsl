// y = x at the places of a grid, each the sum of the elements around it, weighted by nearness.
//
// Layout: x [n, channels, height, width], grid [n, places, 2], y [n, channels, places], each from
// its base on. Elements of weight 0 are not read; a place that is NaN gives NaN. Reference:
// src/ops/resize/sample/mod.rs. One invocation makes one element, one workgroup workgroup_size of
// them.
// Overrides: workgroup_size. Providers: Place, place_in, Taps, taps_at, in_columns and in_rows
// (grid_place), lib/grid, lib/float, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    channels: u32,
    places: u32,
    x_base: u32,
    grid_base: u32,
    y_base: u32,
    height: u32,
    scale_y: f32,
    shift_y: f32,
    low_y: f32,
    span_y: f32,
    width: u32,
    scale_x: f32,
    shift_x: f32,
    low_x: f32,
    span_x: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> places: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// The share of the element at a row and a column of the plane that begins at `base`.
fn share(base: u32, row: i32, column: i32, weight: f32) -> f32 {
    if weight != 0.0 && in_rows(row) && in_columns(column) {
        return weight * x[base + u32(row) * params.width + u32(column)];
    }
    return 0.0;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let plane = quotient(i, params.places);
        let image = quotient(plane, params.channels);
        let at = params.grid_base + 2u * (image * params.places + i - plane * params.places);
        let place = place_in(places[at], places[at + 1u]);
        let across = place[0].at;
        let down = place[1].at;
        var value = select(down, across, is_nan(across));
        if !is_nan(value) {
            let columns = taps_at(across, params.width);
            let rows = taps_at(down, params.height);
            let base = params.x_base + plane * params.height * params.width;
            value = share(base, rows.first, columns.first, columns.low * rows.low)
                + share(base, rows.first, columns.first + 1, columns.high * rows.low)
                + share(base, rows.first + 1, columns.first, columns.low * rows.high)
                + share(base, rows.first + 1, columns.first + 1, columns.high * rows.high);
        }
        y[params.y_base + i] = value;
    }
}
