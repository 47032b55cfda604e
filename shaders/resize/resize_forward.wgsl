// Provider of Span, span, Walk, walk, walked, weight, reads and writes: outputs are made of the
// inputs that they read, whose weights are known from the first on.

struct Span {
    begin: u32,
    end: u32,
    taps: Taps,
    cubic: Cubic,
}

alias Walk = u32;

fn walk(axis: Axis, own: Span) -> Walk {
    return 0u;
}

fn walked(axis: Axis, at: Walk) -> Walk {
    return 0u;
}

fn span(axis: Axis, o: u32) -> Span {
    let unit = 1.0 / f32(axis.divisor);
    if reach == 2u {
        let own = cubic(place_of(axis, o), unit);
        let last = i32(axis.input) - 1;
        let begin = min(max(own.first, 0), last);
        let end = min(max(own.first + 3, 0), last) + 1;
        return Span(u32(begin), u32(end), Taps(0u, 0.0, 0.0), own);
    }
    let own = taps(axis, place_of(axis, o), unit);
    let none = Cubic(0, vec4<f32>());
    return Span(own.first, own.first + select(2u, 1u, own.high == 0.0), own, none);
}

fn weight(axis: Axis, own: Span, at: Walk, o: u32, i: u32) -> f32 {
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
