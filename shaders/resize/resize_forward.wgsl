// Provider of Span, span, weight, reads and writes: outputs are made of the inputs that they read.

struct Span {
    begin: u32,
    end: u32,
    taps: Taps,
    cubic: Cubic,
}

fn span(axis: Axis, o: u32) -> Span {
    if reach == 2u {
        let own = cubic(axis, o);
        let last = i32(axis.input) - 1;
        let begin = min(max(own.first, 0), last);
        let end = min(max(own.first + 3, 0), last) + 1;
        return Span(u32(begin), u32(end), Taps(0u, 0.0, 0.0), own);
    }
    let own = taps(axis, o);
    let none = Cubic(0, vec4<f32>());
    return Span(own.first, own.first + select(2u, 1u, own.high == 0.0), own, none);
}

fn weight(axis: Axis, own: Span, o: u32, i: u32) -> f32 {
    if reach == 2u {
        return cubic_weight(axis, own.cubic, i);
    }
    return select(own.taps.high, own.taps.low, i == own.begin);
}

fn reads(axis: Axis) -> u32 {
    return axis.input;
}

fn writes(axis: Axis) -> u32 {
    return axis.output;
}
