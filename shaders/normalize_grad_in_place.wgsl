// Provider of x, load and store: dx takes the place of dy.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

fn load(i: u32) -> Element {
    return dx[i];
}

fn store(i: u32, value: Element) {
    dx[i] = value;
}
