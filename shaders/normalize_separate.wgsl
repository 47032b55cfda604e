// Provider of load and store: x and y in two buffers, the table between them.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

fn load(i: u32) -> Element {
    return x[i];
}

fn store(i: u32, value: Element) {
    y[i] = value;
}
