// Provider of Span, span, Walk, walk, walked, weight, reads and writes: gradients of inputs are
// made of those of the outputs that read them.

struct Span {
    begin: u32,
    end: u32,
}

// At least the outputs whose place lies between the inputs before and after input i, with reach 2
// the second ones, all those below for the first input and all those above for the last one.
fn span(axis: Axis, i: u32) -> Span {
    var own = Span(0u, axis.output);
    let far = select(1u, 2u, reach == 2u);
    if axis.scale > 0u {
        if i >= 2u * far - 1u {
            let begin = max((i - far) * axis.divisor + axis.sub, axis.add) - axis.add;
            own.begin = begin / axis.scale;
        }
        if i + far < axis.input {
            let end = max((i + far) * axis.divisor + axis.sub, axis.add) - axis.add;
            own.end = min(axis.output, (end + axis.scale - 1u) / axis.scale);
        }
    }
    return own;
}

// Where an output stands, how far that moves to the next one, and 1 / divisor.
struct Walk {
    place: Place,
    step: Place,
    unit: f32,
}

fn walk(axis: Axis, own: Span) -> Walk {
    let below = axis.scale / axis.divisor;
    return Walk(
        place_of(axis, own.begin),
        Place(i32(below), axis.scale - below * axis.divisor),
        1.0 / f32(axis.divisor),
    );
}

fn walked(axis: Axis, at: Walk) -> Walk {
    let above = at.place.above + at.step.above;
    let over = above >= axis.divisor;
    let below = at.place.below + at.step.below + select(0, 1, over);
    return Walk(Place(below, select(above, above - axis.divisor, over)), at.step, at.unit);
}

fn weight(axis: Axis, own: Span, at: Walk, i: u32, o: u32) -> f32 {
    if reach == 2u {
        return cubic_weight(axis, cubic(at.place, at.unit), i);
    }
    let read = taps(axis, at.place, at.unit);
    return select(select(0.0, read.high, read.first + 1u == i), read.low, read.first == i);
}

fn reads(axis: Axis) -> u32 {
    return axis.output;
}

fn writes(axis: Axis) -> u32 {
    return axis.input;
}
