// Provider of sums for conv_direct: forward. Each tap sees one element of x, or padding.

fn sums(place: Place) -> Sums {
    var s = Sums();
    let columns_inside = place.columns < vec4<u32>(params.to_width);
    var tap = 0u;
    for (var t = 0u; t < params.kernel_d; t++) {
        let depth = pad_source(params.mode, place.depth * params.stride_d + t * params.dilation_d - params.before_d, params.from_depth);
        for (var r = 0u; r < params.kernel_h; r++) {
            let row = pad_source(params.mode, place.row * params.stride_h + r * params.dilation_h - params.before_h, params.from_height);
            let line = (depth * params.from_height + row) * params.from_width;
            let there = columns_inside & vec4<bool>(depth < params.from_depth && row < params.from_height);
            for (var c = 0u; c < params.kernel_w; c++) {
                let column = pad_source4(
                    params.mode, place.columns * params.stride_w + c * params.dilation_w - params.before_w, params.from_width);
                s = add_tap(s, place, tap, line + column, there & (column < vec4<u32>(params.from_width)));
                tap++;
            }
        }
    }
    return s;
}
