// Provider of x, other, y, params and term: the elements with another value of each output, such as
// the mean or the largest.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read> other: array<Result>;
@group(0) @binding(2) var<storage, read_write> y: array<Result>;
@group(0) @binding(3) var<uniform> params: Params;

fn term(value: Element, at: u32, output: u32) -> Element {
    let wanted = Element(other[output]);
    let difference = value - wanted;
    if function == DEVIATIONS {
        return difference * difference;
    }
    if function == EXPONENTIALS {
        return select(exp(difference), difference, magnitude(difference) > Bits(0x7f800000u));
    }
    if function == TIES {
        let value_is_nan = magnitude(value) > Bits(0x7f800000u);
        let wanted_is_nan = magnitude(wanted) > Bits(0x7f800000u);
        let equal = (value == wanted) & !value_is_nan & !wanted_is_nan;
        return select(Element(), Element(1.0), equal | (value_is_nan & wanted_is_nan));
    }
    return difference;
}
