// Provider of Y, the binding of y, finish_row and finish_unit: zero where the mask, an activation
// after relu, is not positive; NaN lets pass.

@group(0) @binding(2) var<storage, read> mask: array<Unit>;
const Y: u32 = 3u;

// What depends on the channel, for four values of one.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return value;
}

// What depends on the place, for unit `unit` of y.
fn finish_unit(value: Unit, unit: u32) -> Unit {
    let held = mask[unit];
    return select(value, Unit(), (held <= Unit()) & !is_nan_unit(held));
}
