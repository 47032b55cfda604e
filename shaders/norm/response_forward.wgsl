// Provider of x, factor and store: the response itself.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(0) @binding(2) var<uniform> params: Params;

fn factor(i: u32) -> Element {
    return x[i];
}

fn store(i: u32, value: Element) {
    y[i] = value;
}
