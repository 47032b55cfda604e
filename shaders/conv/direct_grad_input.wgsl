// Provider of sums for conv_direct: the gradient of the input. An element of x stands at one place
// or, in padding that repeats it, at several; from each place, a tap leads to one element of dy or
// to none.

// The windows whose tap at some distance sees padded positions: (position - distance) / stride, and
// what is left, which is 0 where there is such a window. It wraps below window 0.
struct Reach {
    window: vec4<u32>,
    rest: vec4<u32>,
}

// A distance in windows, and what is left.
struct Step {
    windows: u32,
    rest: u32,
}

// Of an axis: its stride with 1 / stride, from each tap to the next one, and to the first.
struct Taps {
    stride: u32,
    unit: f32,
    step: Step,
    first: Step,
}

fn step_of(distance: u32, stride: u32) -> Step {
    let windows = quotient(distance, stride);
    return Step(windows, distance - windows * stride);
}

fn taps_of(stride: u32, dilation: u32, first: u32) -> Taps {
    return Taps(
        stride, 1.0 / f32(stride), step_of(dilation, stride), step_of(first * dilation, stride)
    );
}

fn back(own: Reach, step: Step, stride: u32) -> Reach {
    let under = own.rest < vec4<u32>(step.rest);
    return Reach(
        own.window - step.windows - select(vec4<u32>(), vec4<u32>(1u), under),
        own.rest - step.rest + select(vec4<u32>(), vec4<u32>(stride), under),
    );
}

// That of the first tap.
fn first_reach(taps: Taps, at: vec4<u32>) -> Reach {
    let window = vec4<u32>(
        quotient_by(at.x, taps.stride, taps.unit),
        quotient_by(at.y, taps.stride, taps.unit),
        quotient_by(at.z, taps.stride, taps.unit),
        quotient_by(at.w, taps.stride, taps.unit),
    );
    return back(Reach(window, at - window * taps.stride), taps.first, taps.stride);
}

// The window, `end` or more where there is none.
fn window_of(own: Reach, end: u32) -> vec4<u32> {
    return select(vec4<u32>(end), own.window, own.rest == vec4<u32>());
}

// Padded columns of the elements at place number k of each.
fn columns_at(place: Place, k: u32) -> vec4<u32> {
    return params.before_w
        + pad_place4(params.mode, place.columns, k, params.to_width, params.before_w);
}

fn sums(place: Place) -> Sums {
    var s = Sums();
    let columns_inside = place.columns < vec4<u32>(params.to_width);
    let depths = pad_count(
        params.mode, place.depth, params.to_depth, params.before_d, params.after_d
    );
    let rows = pad_count(params.mode, place.row, params.to_height, params.before_h, params.after_h);
    let columns = pad_count4(
        params.mode, place.columns, params.to_width, params.before_w, params.after_w
    );
    let most = select(vec4<u32>(), columns, columns_inside);
    let end = min(max(max(most.x, most.y), max(most.z, most.w)), params.end_place_w);
    let end_d = min(depths, params.end_place_d);
    let end_h = min(rows, params.end_place_h);
    let taps_d = taps_of(params.stride_d, params.dilation_d, params.first_d);
    let taps_h = taps_of(params.stride_h, params.dilation_h, params.first_h);
    let taps_w = taps_of(params.stride_w, params.dilation_w, params.first_w);
    // In most paddings, elements stand at one place.
    let first_w = first_reach(taps_w, columns_at(place, params.place_w));
    for (var i = params.place_d; i < end_d; i++) {
        let at_d = params.before_d
            + pad_place(params.mode, place.depth, i, params.to_depth, params.before_d);
        var reach_d = first_reach(taps_d, vec4<u32>(at_d));
        for (var t = params.first_d; t < params.end_d; t++) {
            let depth = window_of(reach_d, params.from_depth).x;
            reach_d = back(reach_d, taps_d.step, taps_d.stride);
            if depth >= params.from_depth {
                continue;
            }
            for (var j = params.place_h; j < end_h; j++) {
                let at_h = params.before_h
                    + pad_place(params.mode, place.row, j, params.to_height, params.before_h);
                var reach_h = first_reach(taps_h, vec4<u32>(at_h));
                for (var r = params.first_h; r < params.end_h; r++) {
                    let row = window_of(reach_h, params.from_height).x;
                    reach_h = back(reach_h, taps_h.step, taps_h.stride);
                    if row >= params.from_height {
                        continue;
                    }
                    let line = (depth * params.from_height + row) * params.from_width;
                    for (var k = params.place_w; k < end; k++) {
                        var reach_w = first_w;
                        if k > params.place_w {
                            reach_w = first_reach(taps_w, columns_at(place, k));
                        }
                        let there = vec4<u32>(k) < most;
                        for (var c = params.first_w; c < params.end_w; c++) {
                            let column = window_of(reach_w, params.from_width);
                            reach_w = back(reach_w, taps_w.step, taps_w.stride);
                            let tap = (t * params.kernel_h + r) * params.kernel_w + c;
                            s = add_tap(
                                s,
                                place,
                                tap,
                                line + column,
                                there & (column < vec4<u32>(params.from_width)),
                            );
                        }
                    }
                }
            }
        }
    }
    return s;
}
