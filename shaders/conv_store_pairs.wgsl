// Provider of y, params and store_row for conv_registers: y is written two elements at a time, its rows being even and whole (out_col is 1),
// which costs a CPU adapter half as much. Y comes from end_*.

@group(0) @binding(Y) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(Y + 1u) var<uniform> params: Params;

// Four columns from `col` on, the first of them at element `at` of y; those past the end of the row are left out.
fn store_row(value: vec4<f32>, at: u32, col: u32) {
    var rest = value;
    for (var j = 0u; j < params.four; j += 2u) {
        if col + j < params.cols {
            y[(at + j) / 2u] = vec2<f32>(finish_one(rest.x, at + j), finish_one(rest.y, at + j + 1u));
        }
        rest = rest.zwxy;
    }
}

// What y held.
fn y_at(at: u32) -> f32 {
    return y[at / 2u][at & 1u];
}
