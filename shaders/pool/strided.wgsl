// Provider of origin, elements, counted and windows_over: windows of one span at equal steps,
// padded.

// The first place of a window; it wraps where that lies in the padding.
fn origin(axis: Axis, window: u32) -> u32 {
    return window * axis.stride - axis.pad;
}

// The elements of a window: begin, begin + step and so on, below end.
fn elements(axis: Axis, window: u32) -> Run {
    // In padded coordinates the image begins at pad.
    let first = window * axis.stride;
    var skipped = max(first, axis.pad) - first;
    if (axis.step > 1u) {
        skipped = (skipped + axis.step - 1u) / axis.step * axis.step;
    }
    let end = max(first + axis.span, axis.pad) - axis.pad;
    return Run(first + skipped - axis.pad, min(end, axis.extent));
}

// How many elements of a window an average counts: those in the image, or in the padded image.
fn counted(axis: Axis, window: u32) -> f32 {
    let first = window * axis.stride;
    let padding = axis.pad * params.include_pad;
    return f32(
        min(first + axis.span, axis.pad + axis.extent + padding) - max(first, axis.pad - padding)
    );
}

// The windows that reach over a place; with a step above 1, they may pass between their elements.
fn windows_over(axis: Axis, place: u32) -> Run {
    let at = place + axis.pad;
    let before = at < axis.span;
    if (axis.windows == 1u) {
        return Run(0u, u32(before));
    }
    return Run(
        select((at - axis.span) / axis.stride + 1u, 0u, before),
        min(at / axis.stride + 1u, axis.windows),
    );
}
