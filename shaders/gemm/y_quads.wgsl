// Provider of y, params, Unit, is_nan_unit and third_at, where y is written four elements at a
// time. third, finish_row and finish_unit come from end, which uses Unit, is_nan_unit, third_at and
// y.

alias Unit = vec4<f32>;

@group(0) @binding(3) var<storage, read_write> y: array<Unit>;
@group(0) @binding(4) var<uniform> params: Params;

fn is_nan_unit(value: Unit) -> vec4<bool> {
    return is_nan4(value);
}

fn third_at(at: u32) -> f32 {
    return third[at / 4u][at % 4u];
}
