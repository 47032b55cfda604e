// Provider of third, first_sums, finish_row and finish_unit: the epilogue that params.end says, one
// bit each (END_*), so that all products, or convolutions, share a pipeline: making one is most of
// a first step on a CPU adapter.
//
// Runs of terms are summed by one dispatch after the other: in y, or in the third operand, laid out
// as y, where y holds the mask until the end. Otherwise the third operand is the bias, one element
// per column of a product or channel of a convolution, or the mask; where none of these is asked
// for, nothing of it is read.

const END_BIAS: u32 = 1u; // sums begin with the bias
const END_SUM: u32 = 2u; // adds the third operand
const END_SUM_IN_PLACE: u32 = 4u; // adds what y holds
const END_RELU: u32 = 8u; // then relu, with NaN kept
// zero where the mask, an activation after relu, is not positive; NaN lets pass
const END_MASK: u32 = 16u;
const END_MASK_IN_PLACE: u32 = 32u; // the same, where y takes the place of the mask

@group(0) @binding(2) var<storage, read> third: array<Unit>;

fn asks(bits: u32) -> bool {
    return (params.end & bits) != 0u;
}

// What the sums of four columns or channels begin with, the first of them element `at` of the bias,
// `last` the last unit that holds some.
fn first_sums(at: u32, last: u32) -> vec4<f32> {
    var sums = vec4<f32>();
    for (var j = 0u; j < params.four; j += UNIT) {
        var unit = Unit();
        if asks(END_BIAS) {
            unit = third[min((at + j) / UNIT, last)];
        }
        sums = push_unit(sums, unit);
    }
    return sums;
}

// What depends on the channel, for four values of one: nothing that the sums did not begin with.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    return value;
}

// What depends on the place, for unit `unit` of y.
fn finish_unit(value: Unit, unit: u32) -> Unit {
    var other = Unit();
    if asks(END_SUM | END_MASK) {
        other = third[unit];
    }
    var own = Unit();
    if asks(END_SUM_IN_PLACE | END_MASK_IN_PLACE) {
        own = y[unit];
    }
    var sum = select(value, value + other, asks(END_SUM));
    sum = select(sum, sum + own, asks(END_SUM_IN_PLACE));
    // What must be positive.
    let gate = select(select(sum, other, asks(END_MASK)), own, asks(END_MASK_IN_PLACE));
    let open = select(sum, Unit(), (gate <= Unit()) & !is_nan_unit(gate));
    return select(sum, open, asks(END_RELU | END_MASK | END_MASK_IN_PLACE));
}
