// dgrid = the sum over channels of dy times how fast what a place reads changes with its two
// coordinates.
//
// Layout: x [n, channels, height, width], grid and dgrid [n, places, 2], dy [n, channels, places],
// each from its base on. Only channels from `begin` to `until` - 1 are summed; where begin is not 0
// the sum is added to what dgrid holds. A coordinate that its place does not follow has gradient 0,
// a place that is NaN NaN. Reference: src/ops/resize/sample/mod.rs. One invocation makes one pair,
// one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: Place, place_in, Taps, taps_at, in_columns and in_rows
// (grid_place), lib/grid, lib/float, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    channels: u32,
    places: u32,
    begin: u32,
    until: u32,
    x_base: u32,
    grid_base: u32,
    dy_base: u32,
    dgrid_base: u32,
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
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dgrid: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// The element at a row and a column of the plane that begins at `base`, times d and its weights for
// both coordinates; with weights of 0 neither counts.
fn shares(base: u32, row: i32, column: i32, weights: vec2<f32>, d: f32) -> vec2<f32> {
    if in_rows(row) && in_columns(column) {
        let value = d * x[base + u32(row) * params.width + u32(column)];
        return select(weights * value, vec2<f32>(), weights == vec2<f32>());
    }
    return vec2<f32>();
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let image = quotient(i, params.places);
        let o = i - image * params.places;
        let place = place_in(
            places[params.grid_base + 2u * i], places[params.grid_base + 2u * i + 1u]
        );
        let at = vec2<f32>(place[0].at, place[1].at);
        let slope = vec2<f32>(place[0].slope, place[1].slope);
        let missing = select(at.y, at.x, is_nan(at.x));
        let columns = taps_at(select(at.x, 0.0, is_nan(missing)), params.width);
        let rows = taps_at(select(at.y, 0.0, is_nan(missing)), params.height);
        // Coordinates that move nothing read nothing.
        let moves = select(vec2<f32>(1.0), vec2<f32>(), slope == vec2<f32>());
        let weights = array<vec2<f32>, 4>(
            moves * vec2<f32>(-rows.low, -columns.low),
            moves * vec2<f32>(rows.low, -columns.high),
            moves * vec2<f32>(-rows.high, columns.low),
            moves * vec2<f32>(rows.high, columns.high),
        );
        var sum = vec2<f32>();
        for (var channel = params.begin; channel < params.until; channel++) {
            let plane = image * params.channels + channel;
            let base = params.x_base + plane * params.height * params.width;
            let d = dy[params.dy_base + plane * params.places + o];
            sum += shares(base, rows.first, columns.first, weights[0], d);
            sum += shares(base, rows.first, columns.first + 1, weights[1], d);
            sum += shares(base, rows.first + 1, columns.first, weights[2], d);
            sum += shares(base, rows.first + 1, columns.first + 1, weights[3], d);
        }
        sum = sum * slope;
        if params.begin > 0u {
            sum += vec2<f32>(
                dgrid[params.dgrid_base + 2u * i], dgrid[params.dgrid_base + 2u * i + 1u]
            );
        }
        let result = select(sum, vec2<f32>(missing), vec2<bool>(is_nan(missing)));
        dgrid[params.dgrid_base + 2u * i] = result.x;
        dgrid[params.dgrid_base + 2u * i + 1u] = result.y;
    }
}
