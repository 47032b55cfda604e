// Provider of origin, elements, counted and windows_over: windows that share the axis, window i
// from floor(i * extent / windows) to ceil((i + 1) * extent / windows).

// Their indices count in the plane.
fn origin(axis: Axis, window: u32) -> u32 {
    return 0u;
}

fn share(i: u32, extent: u32, parts: u32) -> Run {
    return Run(i * extent / parts, ((i + 1u) * extent + parts - 1u) / parts);
}

fn elements(axis: Axis, window: u32) -> Run {
    return share(window, axis.extent, axis.windows);
}

fn counted(axis: Axis, window: u32) -> f32 {
    let run = elements(axis, window);
    return f32(run.end - run.begin);
}

// The same with windows and elements exchanged: begin(o) <= i where o < (i + 1) * windows / extent,
// i < end(o) where o + 1 > i * windows / extent.
fn windows_over(axis: Axis, place: u32) -> Run {
    return share(place, axis.windows, axis.extent);
}
