// Provider of y, params and store_row for conv_registers: y is written element by element. Y comes from end_*.

@group(0) @binding(Y) var<storage, read_write> y: array<f32>;
@group(0) @binding(Y + 1u) var<uniform> params: Params;

// Four columns from `col` on, the first of them at element `at` of y; those past the end of the row are left out.
fn store_row(value: vec4<f32>, at: u32, col: u32) {
    var rest = value;
    for (var j = 0u; j < params.four; j++) {
        if col + j < params.cols {
            let one = at + j * params.out_col;
            y[one] = finish_one(rest.x, one);
        }
        rest = rest.yzwx;
    }
}

// What y held.
fn y_at(at: u32) -> f32 {
    return y[at];
}
