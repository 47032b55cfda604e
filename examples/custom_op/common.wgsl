// What both kernels share: the params, and the function itself.

struct Params {
    grid: Grid,
    // Elements, four by four.
    quads: u32,
    b: f32,
}

fn root(x: vec4<f32>) -> vec4<f32> {
    return sqrt(x * x + params.b);
}

// (s + x) / 2 = b / (2 (s - x)): the form that adds numbers of one sign.
fn squareplus(x: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return select(0.5 * params.b / (s - x), 0.5 * (s + x), x >= vec4<f32>(0.0));
}
