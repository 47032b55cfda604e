// Provider of y, params, Unit, UNIT, is_nan_unit, first_unit, after_unit, push_unit, third_at, y_at
// and put, where y is written two elements at a time. third, finish_row and finish_unit come from
// end or end_flags, which use Unit, is_nan_unit, third_at and y.

alias Unit = vec2<f32>;
const UNIT: u32 = 2u; // elements of one

@group(0) @binding(3) var<storage, read_write> y: array<Unit>;
@group(0) @binding(4) var<uniform> params: Params;

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

fn third_at(at: u32) -> f32 {
    return third[at / 2u][at % 2u];
}

fn y_at(at: u32) -> f32 {
    return y[at / 2u][at % 2u];
}

// Writes one element, whatever depends on its place done first.
fn put(value: f32, at: u32) {
    y[at / 2u][at % 2u] = finish_unit(Unit(value), at / 2u)[at % 2u];
}
