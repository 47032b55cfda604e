// Provider of y, params, Unit, UNIT, is_nan_unit, first_unit, after_unit, push_unit, third_at,
// y_at, put and finish, where y is written element by element. third, finish_row and finish_unit
// come from end or end_flags, which use Unit, is_nan_unit, third_at and y.

alias Unit = f32;
const UNIT: u32 = 1u; // elements of one

@group(0) @binding(3) var<storage, read_write> y: array<Unit>;
@group(0) @binding(4) var<uniform> params: Params;

fn is_nan_unit(value: Unit) -> bool {
    return is_nan(value);
}

// The first unit of four elements.
fn first_unit(values: vec4<f32>) -> Unit {
    return values.x;
}

// Four elements, those after the first unit coming first.
fn after_unit(values: vec4<f32>) -> vec4<f32> {
    return values.yzwx;
}

// Four elements, the first unit left out and another one put behind the rest.
fn push_unit(values: vec4<f32>, unit: Unit) -> vec4<f32> {
    return vec4<f32>(values.yzw, unit);
}

fn third_at(at: u32) -> f32 {
    return third[at];
}

fn y_at(at: u32) -> f32 {
    return y[at];
}

// Writes one element, whatever depends on its place done first.
fn put(value: f32, at: u32) {
    y[at] = finish_unit(value, at);
}

// What element `at` of y holds at the end, of one channel.
fn finish(value: f32, channel: u32, at: u32) -> f32 {
    return finish_unit(finish_row(vec4<f32>(value), channel).x, at);
}
