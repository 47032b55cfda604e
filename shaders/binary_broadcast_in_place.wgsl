// Provider of load_a, load_b and store: y takes the place of a, which has its shape.

@group(0) @binding(0) var<storage, read> b: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(0) @binding(2) var<uniform> params: Params;

fn load_a(at: u32) -> vec4<f32> {
    return widen(y[at / WIDTH], at, strides().x);
}

fn load_b(at: u32) -> vec4<f32> {
    return widen(b[at / WIDTH], at, strides().y);
}

fn store(i: u32, value: Element) {
    y[i] = value;
}
