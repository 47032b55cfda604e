// Provider of sums for conv_direct: forward. Each tap sees one element of x, or padding.

fn sums(place: Place) -> Sums {
    var s = Sums();
    let columns_inside = place.columns < vec4<u32>(params.to_width);
    for (var t = params.first_d; t < params.end_d; t++) {
        let depth = pad_source(
            params.mode,
            place.depth * params.stride_d + t * params.dilation_d - params.before_d,
            params.from_depth,
        );
        for (var r = params.first_h; r < params.end_h; r++) {
            let row = pad_source(
                params.mode,
                place.row * params.stride_h + r * params.dilation_h - params.before_h,
                params.from_height,
            );
            let line = (depth * params.from_height + row) * params.from_width;
            let there =
                columns_inside & vec4<bool>(depth < params.from_depth && row < params.from_height);
            var tap = (t * params.kernel_h + r) * params.kernel_w + params.first_w;
            for (var c = params.first_w; c < params.end_w; c++) {
                let column = pad_source4(
                    params.mode, place.columns * params.stride_w
                        + c * params.dilation_w
                        - params.before_w, params.from_width);
                s = add_tap(
                    s, place, tap, line + column, there & (column < vec4<u32>(params.from_width))
                );
                tap++;
            }
        }
    }
    return s;
}
