// Provider of rows_first, rows, columns, load_a, seen, y_column, y_step and third_index for gemm_*:
// dweight[o, (c, r, s)] = sum over pixels of dy[o, pixel] x[(c, r, s), pixel].
//
// x [N, C, H, W], dy [N, O, OH, OW], dweight [O, C / groups, R, S]. Rows are the filters of a
// group, columns its weights per filter, terms its output pixels, each row of them filled up to a
// multiple of four. With several splits, y holds one dweight per split.

// Four weights: their channel's plane within an image, and the offset of their tap.
struct Columns {
    plane: vec4<u32>,
    row: vec4<u32>,
    column: vec4<u32>,
}

fn rows_first() -> bool {
    return false;
}

fn rows(group: u32, first: u32) -> vec4<u32> {
    return group * params.outs + min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.m - 1u));
}

fn columns(group: u32, first: u32) -> Columns {
    let taps = params.kernel_h * params.kernel_w;
    let at = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
    let channel = at / taps;
    let tap = at - channel * taps;
    let r = tap / params.kernel_w;
    return Columns(
        group * params.channels + channel,
        r * params.dilation_h - params.pad_h,
        (tap - r * params.kernel_w) * params.dilation_w - params.pad_w);
}

fn load_a(row: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    let line = k / params.row_terms;
    let column = k - line * params.row_terms;
    if k >= end || column >= params.out_width {
        return vec4<f32>();
    }
    let image = line / params.out_height;
    let first = (image * params.groups * params.outs + row) * params.out_height;
    let at = params.a_base
        + (first + line - image * params.out_height) * params.out_width
        + column;
    return vec4<f32>(
        second_element(at.x), second_element(at.y), second_element(at.z), second_element(at.w)
    );
}

fn seen(columns: Columns, k: u32) -> Seen {
    let line = k / params.row_terms;
    let column = k - line * params.row_terms;
    let image = line / params.out_height;
    let h = columns.row + (line - image * params.out_height) * params.stride_h;
    let w = columns.column + column * params.stride_w;
    let inside = (h < vec4<u32>(params.height)) & (w < vec4<u32>(params.width));
    return Seen(
        params.b_base
            + ((image * params.groups * params.channels + columns.plane) * params.height + h)
                * params.width
            + w,
        inside & vec4<bool>(column < params.out_width),
    );
}

fn y_column(group: u32, split: u32, column: u32) -> u32 {
    return params.y_base + split * params.part + group * params.m * params.n + column;
}

fn y_step() -> u32 {
    return params.n;
}

fn third_index(group: u32, row: u32, column: u32) -> u32 {
    return row;
}
