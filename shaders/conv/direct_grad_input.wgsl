// Provider of sums for conv_direct: the gradient of the input. An element of x stands at one place
// or, in padding that repeats it, at several; from each place, a tap leads to one element of dy or
// to none.

// The window whose tap at distance `back` sees padded position `at`; `end` or more where there is
// none.
fn window_of(at: vec4<u32>, back: u32, stride: u32, end: u32) -> vec4<u32> {
    let first = at - back;
    if stride == 1u {
        return first;
    }
    let place = min(first, vec4<u32>(0x7fffffffu));
    let found = vec4<u32>(
        quotient(place.x, stride),
        quotient(place.y, stride),
        quotient(place.z, stride),
        quotient(place.w, stride),
    );
    return select(vec4<u32>(end), found, found * stride == first);
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
    for (var i = params.place_d; i < end_d; i++) {
        let at_d = params.before_d
            + pad_place(params.mode, place.depth, i, params.to_depth, params.before_d);
        for (var t = params.first_d; t < params.end_d; t++) {
            let depth = window_of(
                vec4<u32>(at_d), t * params.dilation_d, params.stride_d, params.from_depth
            ).x;
            if depth >= params.from_depth {
                continue;
            }
            for (var j = params.place_h; j < end_h; j++) {
                let at_h = params.before_h
                    + pad_place(params.mode, place.row, j, params.to_height, params.before_h);
                for (var r = params.first_h; r < params.end_h; r++) {
                    let row = window_of(
                        vec4<u32>(at_h), r * params.dilation_h, params.stride_h, params.from_height
                    ).x;
                    if row >= params.from_height {
                        continue;
                    }
                    let line = (depth * params.from_height + row) * params.from_width;
                    for (var k = params.place_w; k < end; k++) {
                        let at_w = params.before_w
                            + pad_place4(
                                params.mode, place.columns, k, params.to_width, params.before_w
                            );
                        let there = vec4<u32>(k) < most;
                        for (var c = params.first_w; c < params.end_w; c++) {
                            let column = window_of(
                                at_w, c * params.dilation_w, params.stride_w, params.from_width
                            );
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
