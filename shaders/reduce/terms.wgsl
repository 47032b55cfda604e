// Provider of x, y, params and term: the elements (SUM, LARGEST, MULTIPLIED) or their squares
// (SQUARES).

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Result>;
@group(0) @binding(2) var<uniform> params: Params;

fn term(value: Element, at: u32, output: u32) -> Element {
    if function == SQUARES {
        return value * value;
    }
    return value;
}
