// Provider of origin, units_of, elements_by, elements, counted, windows_over, counting, counted_by
// and counting_on: where the windows along an axis lie.
//
//   strided, span 3, stride 2, pad 1      adaptive, 5 elements in 3 windows
//   . 0 1 2 3 4 .                         0 1 2 3 4
//   [---]                                 [-]
//       [---]                               [---]
//           [---]                               [-]
// Overrides: adaptive (0: windows of one span at equal steps, padded; 1: windows that share the
// axis, window i from floor(i * extent / windows) to ceil((i + 1) * extent / windows)).

override adaptive: u32 = 0u;

// The first place of a window; it wraps where that lies in the padding. Indices of adaptive windows
// count in the plane.
fn origin(axis: Axis, window: u32) -> u32 {
    if adaptive == 1u {
        return 0u;
    }
    return window * axis.stride - axis.pad;
}

fn share(i: u32, extent: u32, parts: u32) -> Run {
    return Run(i * extent / parts, ((i + 1u) * extent + parts - 1u) / parts);
}

// 1 / windows and 1 / step, for the elements of several windows.
struct Units {
    windows: f32,
    step: f32,
}

fn units_of(axis: Axis) -> Units {
    return Units(1.0 / f32(axis.windows), 1.0 / f32(axis.step));
}

// The elements of a window: begin, begin + step and so on, below end.
fn elements(axis: Axis, window: u32) -> Run {
    if adaptive == 1u {
        return share(window, axis.extent, axis.windows);
    }
    return elements_by(axis, units_of(axis), window);
}

// The same, given units_of(axis).
fn elements_by(axis: Axis, units: Units, window: u32) -> Run {
    if adaptive == 1u {
        let place = window * axis.extent;
        return Run(
            quotient_by(place, axis.windows, units.windows),
            quotient_by(place + axis.extent + axis.windows - 1u, axis.windows, units.windows),
        );
    }
    // In padded coordinates the image begins at pad.
    let first = window * axis.stride;
    var skipped = max(first, axis.pad) - first;
    if axis.step > 1u {
        skipped = quotient_by(skipped + axis.step - 1u, axis.step, units.step) * axis.step;
    }
    let end = max(first + axis.span, axis.pad) - axis.pad;
    return Run(first + skipped - axis.pad, min(end, axis.extent));
}

// How many elements of a window an average counts: those in the image, or in the padded image.
fn counted(axis: Axis, window: u32) -> f32 {
    if adaptive == 1u {
        let run = share(window, axis.extent, axis.windows);
        return f32(run.end - run.begin);
    }
    let first = window * axis.stride;
    let padding = axis.pad * params.include_pad;
    return f32(
        min(first + axis.span, axis.pad + axis.extent + padding) - max(first, axis.pad - padding)
    );
}

// What the elements of adaptive windows are counted by, one after the other: extent / windows, and
// what extent and window * extent leave behind when they are divided by windows.
struct Counting {
    whole: u32,
    step: u32,
    rest: u32,
}

fn counting(axis: Axis, window: u32) -> Counting {
    if adaptive == 0u {
        return Counting();
    }
    let whole = axis.extent / axis.windows;
    return Counting(
        whole, axis.extent - whole * axis.windows, window * axis.extent % axis.windows
    );
}

// That of the next window.
fn counting_on(axis: Axis, own: Counting) -> Counting {
    let rest = own.rest + own.step;
    return Counting(own.whole, own.step, select(rest, rest - axis.windows, rest >= axis.windows));
}

// As counted.
fn counted_by(axis: Axis, own: Counting, window: u32) -> f32 {
    if adaptive == 0u {
        return counted(axis, window);
    }
    let rest = own.rest + own.step;
    return f32(own.whole + select(1u, 2u, rest > axis.windows) - u32(rest == 0u));
}

// The windows that reach over a place; with a step above 1, they may pass between their elements.
fn windows_over(axis: Axis, place: u32) -> Run {
    if adaptive == 1u {
        // Windows and elements exchanged: begin(o) <= i where o < (i + 1) * windows / extent, and
        // i < end(o) where o + 1 > i * windows / extent.
        return share(place, axis.windows, axis.extent);
    }
    let at = place + axis.pad;
    let before = at < axis.span;
    if axis.windows == 1u {
        return Run(0u, u32(before));
    }
    return Run(
        select(quotient(at - axis.span, axis.stride) + 1u, 0u, before),
        min(quotient(at, axis.stride) + 1u, axis.windows),
    );
}
