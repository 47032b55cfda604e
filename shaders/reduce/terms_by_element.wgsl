// Provider of x, other, y, params and term: the products with another value of x's layout
// (PRODUCTS).

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> other: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Result>;
@group(0) @binding(3) var<uniform> params: Params;

fn term(value: Element, at: u32, output: u32) -> Element {
    return value * other[at];
}
