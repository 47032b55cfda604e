// Provider of load_a, load_b and store: three buffers.

@group(0) @binding(0) var<storage, read> a: array<Element>;
@group(0) @binding(1) var<storage, read> b: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_a(at: u32) -> vec4<f32> {
    return widen(a[at / WIDTH], at, strides().x);
}

fn load_b(at: u32) -> vec4<f32> {
    return widen(b[at / WIDTH], at, strides().y);
}

fn store(i: u32, value: Element) {
    y[i] = value;
}
