// Provider of x, load and store: dy and dx in two buffers, x and the table between them.

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<Element>;
@group(0) @binding(4) var<uniform> params: Params;

fn load(i: u32) -> Element {
    return dy[i];
}

fn store(i: u32, value: Element) {
    dx[i] = value;
}
