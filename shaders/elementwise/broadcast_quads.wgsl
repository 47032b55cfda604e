// Provider of Params, Element, WIDTH, place, strides, widen and narrow: four elements at a time
// along the last of at most three axes, whose extent counts quads and whose strides are 4, or 0
// where an operand stretches.

alias Element = vec4<f32>;

const WIDTH: u32 = 4u;

struct Params {
    grid: Grid,
    count: u32,
    y_base: u32,
    a_base: u32,
    b_base: u32,
    c_base: u32,
    extent0: u32,
    extent1: u32,
    extent2: u32,
    a0: u32,
    a1: u32,
    a2: u32,
    b0: u32,
    b1: u32,
    b2: u32,
    c0: u32,
    c1: u32,
    c2: u32,
    k0: f32,
    k1: f32,
    k2: f32,
}

// Where the operands' elements of output number i lie. Strides are in elements.
fn place(i: u32) -> vec3<u32> {
    var p = Place(vec3<u32>(params.a_base, params.b_base, params.c_base), i);
    p = step_out(p, params.extent2, vec3<u32>(params.a2, params.b2, params.c2));
    p = step_out(p, params.extent1, vec3<u32>(params.a1, params.b1, params.c1));
    return p.at + p.rest * vec3<u32>(params.a0, params.b0, params.c0);
}

// Steps along the last axis.
fn strides() -> vec3<u32> {
    return vec3<u32>(params.a2, params.b2, params.c2);
}

// The quad, or where the operand stretches the element at `at` in all four places.
fn widen(value: vec4<f32>, at: u32, stride: u32) -> vec4<f32> {
    let pair = select(value.xy, value.zw, (at & 2u) != 0u);
    let one = select(pair.x, pair.y, (at & 1u) != 0u);
    return select(value, vec4<f32>(one), stride == 0u);
}

fn narrow(value: vec4<f32>) -> vec4<f32> {
    return value;
}
