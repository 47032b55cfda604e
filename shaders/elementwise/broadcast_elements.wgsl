// Provider of Params, Element, WIDTH, place, strides, widen and narrow: element by element, over at
// most six axes.

alias Element = f32;

const WIDTH: u32 = 1u;

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
    extent3: u32,
    extent4: u32,
    extent5: u32,
    a0: u32,
    a1: u32,
    a2: u32,
    a3: u32,
    a4: u32,
    a5: u32,
    b0: u32,
    b1: u32,
    b2: u32,
    b3: u32,
    b4: u32,
    b5: u32,
    c0: u32,
    c1: u32,
    c2: u32,
    c3: u32,
    c4: u32,
    c5: u32,
    k0: f32,
    k1: f32,
    k2: f32,
}

// Where the operands' elements of output number i lie. Strides are in elements.
fn place(i: u32) -> vec3<u32> {
    var p = Place(vec3<u32>(params.a_base, params.b_base, params.c_base), i);
    p = step_out(p, params.extent5, vec3<u32>(params.a5, params.b5, params.c5));
    p = step_out(p, params.extent4, vec3<u32>(params.a4, params.b4, params.c4));
    p = step_out(p, params.extent3, vec3<u32>(params.a3, params.b3, params.c3));
    p = step_out(p, params.extent2, vec3<u32>(params.a2, params.b2, params.c2));
    p = step_out(p, params.extent1, vec3<u32>(params.a1, params.b1, params.c1));
    return p.at + p.rest * vec3<u32>(params.a0, params.b0, params.c0);
}

// Steps along the last axis.
fn strides() -> vec3<u32> {
    return vec3<u32>(params.a5, params.b5, params.c5);
}

fn widen(value: f32, at: u32, stride: u32) -> vec4<f32> {
    return vec4<f32>(value);
}

fn narrow(value: vec4<f32>) -> f32 {
    return value.x;
}
