// Provider of y, params, Unit, UNIT, is_nan_unit, first_unit, after_unit, push_unit, y_at and put
// where y is written two elements at a time. Y, finish_row and finish_unit come from end_*, which
// use Unit, is_nan_unit and y.

alias Unit = vec2<f32>;
const UNIT: u32 = 2u; // elements of one

@group(0) @binding(Y) var<storage, read_write> y: array<Unit>;
@group(0) @binding(Y + 1u) var<uniform> params: Params;

fn is_nan_unit(value: Unit) -> vec2<bool> {
    return is_nan2(value);
}

// The first unit of four elements.
fn first_unit(values: vec4<f32>) -> Unit {
    return values.xy;
}

// Four elements, those after the first unit coming first.
fn after_unit(values: vec4<f32>) -> vec4<f32> {
    return values.zwxy;
}

// Four elements, the first unit left out and another one put behind the rest.
fn push_unit(values: vec4<f32>, unit: Unit) -> vec4<f32> {
    return vec4<f32>(values.zw, unit);
}

fn y_at(at: u32) -> f32 {
    return y[at / 2u][at % 2u];
}

// Writes one element, whatever depends on its place done first.
fn put(value: f32, at: u32) {
    y[at / 2u][at % 2u] = finish_unit(Unit(value), at / 2u)[at % 2u];
}
