// Provider of Y, the binding of y, finish_row and finish_unit: zero where the mask, an activation
// after relu that y takes the place of, is not positive; NaN lets pass.

const Y: u32 = 2u;

// What depends on the channel, for four values of one.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return value;
}

// What depends on the place, for unit `unit` of y.
fn finish_unit(value: Unit, unit: u32) -> Unit {
    let held = y[unit];
    return select(value, Unit(), (held <= Unit()) & !is_nan_unit(held));
}
