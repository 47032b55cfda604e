// Provider of x, factor and store: what an element adds to the gradients of its window, but for
// their common factor.

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> shares: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

fn factor(i: u32) -> Element {
    return dy[i] * x[i];
}

fn store(i: u32, value: Element) {
    shares[i] = value;
}
