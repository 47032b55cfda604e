// Provider of Span, span, weight, reads and writes: outputs are made of the inputs that they read.

struct Span {
    begin: u32,
    end: u32,
    taps: Taps,
}

fn span(axis: Axis, o: u32) -> Span {
    let own = taps(axis, o);
    return Span(own.first, own.first + select(2u, 1u, own.high == 0.0), own);
}

fn weight(axis: Axis, own: Span, o: u32, i: u32) -> f32 {
    return select(own.taps.high, own.taps.low, i == own.begin);
}

fn reads(axis: Axis) -> u32 {
    return axis.input;
}

fn writes(axis: Axis) -> u32 {
    return axis.output;
}
