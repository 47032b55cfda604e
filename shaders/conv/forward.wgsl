// Provider of rows_first, rows, columns, load_a, seen, y_column, y_step and third_index for gemm_*:
// y[o, pixel] = sum over (c, r, s) of weight[o, (c, r, s)] x[(c, r, s), pixel].
//
// x [N, C, H, W], weight [O, C / groups, R, S], y [N, O, OH, OW]. Rows are the filters of a group,
// columns its output pixels.

// Four output pixels: where their image begins in x, and the input coordinates of their first tap
// (they may wrap below 0).
struct Columns {
    image: vec4<u32>,
    row: vec4<u32>,
    column: vec4<u32>,
}

fn rows_first() -> bool {
    return false;
}

fn rows(group: u32, first: u32) -> vec4<u32> {
    return (group * params.m + min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.m - 1u)))
        * params.k;
}

fn columns(group: u32, first: u32) -> Columns {
    let pixel = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
    let line = pixel / params.out_width;
    let image = line / params.out_height;
    return Columns(
        params.b_base
            + (image * params.groups + group) * params.channels * params.height * params.width,
        (line - image * params.out_height) * params.stride_h - params.pad_h,
        (pixel - line * params.out_width) * params.stride_w - params.pad_w);
}

fn load_a(row: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = row + k;
    return vec4<f32>(
        second_element(at.x), second_element(at.y), second_element(at.z), second_element(at.w)
    );
}

fn seen(columns: Columns, k: u32) -> Seen {
    let taps = params.kernel_h * params.kernel_w;
    let channel = k / taps;
    let tap = k - channel * taps;
    let r = tap / params.kernel_w;
    let h = columns.row + r * params.dilation_h;
    let w = columns.column + (tap - r * params.kernel_w) * params.dilation_w;
    let inside = (h < vec4<u32>(params.height)) & (w < vec4<u32>(params.width));
    return Seen(columns.image + (channel * params.height + h) * params.width + w, inside);
}

fn y_column(group: u32, split: u32, pixel: u32) -> u32 {
    let plane = y_step();
    let image = pixel / plane;
    let first = (image * params.groups + group) * params.outs * plane;
    return params.y_base + first + pixel - image * plane;
}

fn y_step() -> u32 {
    return params.out_height * params.out_width;
}

fn third_index(group: u32, row: u32, pixel: u32) -> u32 {
    return group * params.outs + row;
}
