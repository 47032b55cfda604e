// Provider of x, other, y, params and term: 1 for each element that equals another value of each
// output, the largest; NaN equals NaN.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> other: array<Result>;
@group(0) @binding(2) var<storage, read_write> y: array<Result>;
@group(0) @binding(3) var<uniform> params: Params;

fn term(value: Element, at: u32, output: u32) -> Element {
    let wanted = Element(other[output]);
    let value_is_nan = magnitude(value) > Bits(0x7f800000u);
    let wanted_is_nan = magnitude(wanted) > Bits(0x7f800000u);
    let equal = (value == wanted) & !value_is_nan & !wanted_is_nan;
    return select(Element(), Element(1.0), equal | (value_is_nan & wanted_is_nan));
}
