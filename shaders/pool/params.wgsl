// Provider of Params and Axis: extents and windows, the same for all poolings.

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
    index_base: u32,
    depth: u32,
    height: u32,
    width: u32,
    out_depth: u32,
    out_height: u32,
    out_width: u32,
    span_depth: u32,
    span_height: u32,
    span_width: u32,
    stride_depth: u32,
    stride_height: u32,
    stride_width: u32,
    pad_depth: u32,
    pad_height: u32,
    pad_width: u32,
    step_depth: u32,
    step_height: u32,
    step_width: u32,
    // Max: the index of an element is pitch_depth * d + pitch_height * h + w, its place counted in
    // its plane or, if relative is 1, from its window's first place, which may lie in the padding.
    pitch_depth: u32,
    pitch_height: u32,
    relative: u32,
    // -inf.
    lowest: f32,
    // Average: whether the padding counts, and what the sum is divided by unless it is 0.
    include_pad: u32,
    divisor: u32,
    // Lp: p, 1 / p, NaN.
    power: f32,
    root: f32,
    undefined: f32,
    // Pieces of long windows, see lib/pieces.
    first: u32,
    outputs: u32,
    taps0: u32,
    taps1: u32,
    taps2: u32,
    taps3: u32,
    pieces1: u32,
    pieces2: u32,
    pieces3: u32,
}

struct Axis {
    extent: u32,
    windows: u32,
    // Elements from a window's first to its last.
    span: u32,
    stride: u32,
    pad: u32,
    // From one element of a window to the next: the dilation.
    step: u32,
}

fn depth_axis() -> Axis {
    return Axis(
        params.depth,
        params.out_depth,
        params.span_depth,
        params.stride_depth,
        params.pad_depth,
        params.step_depth,
    );
}

fn height_axis() -> Axis {
    return Axis(
        params.height,
        params.out_height,
        params.span_height,
        params.stride_height,
        params.pad_height,
        params.step_height,
    );
}

fn width_axis() -> Axis {
    return Axis(
        params.width,
        params.out_width,
        params.span_width,
        params.stride_width,
        params.pad_width,
        params.step_width,
    );
}

struct Run {
    begin: u32,
    end: u32,
}
