// Provider of rows, columns, load_a, seen, y_column, y_step and third_index for gemm_*:
// dx[c, pixel] = sum over (o, r, s) of weight[o, c, r, s] dy[o, the output that tap (r, s) links to
// pixel].
//
// dy [N, O, OH, OW], weight [O, C / groups, R, S], dx [N, C, H, W]. Rows are the channels of a
// group, columns its input pixels.

// Four input pixels: where their image begins in dy, and their padded coordinates.
struct Columns {
    image: vec4<u32>,
    row: vec4<u32>,
    column: vec4<u32>,
}

fn rows(group: u32, first: u32) -> vec4<u32> {
    let channel = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.m - 1u));
    return (group * params.outs * params.channels + channel) * params.kernel_h * params.kernel_w;
}

fn columns(group: u32, first: u32) -> Columns {
    let pixel = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
    let line = pixel / params.width;
    let image = line / params.height;
    return Columns(
        params.b_base
            + (image * params.groups + group) * params.outs * params.out_height * params.out_width,
        line - image * params.height + params.pad_h,
        pixel - line * params.width + params.pad_w);
}

fn load_a(row: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let taps = params.kernel_h * params.kernel_w;
    let out = k / taps;
    let at = row + out * params.channels * taps + k - out * taps;
    return vec4<f32>(
        second_element(at.x), second_element(at.y), second_element(at.z), second_element(at.w)
    );
}

fn seen(columns: Columns, k: u32) -> Seen {
    let taps = params.kernel_h * params.kernel_w;
    let out = k / taps;
    let tap = k - out * taps;
    let r = tap / params.kernel_w;
    // Below 0 wraps to a large number, whose quotient lies outside.
    let down = columns.row - r * params.dilation_h;
    let right = columns.column - (tap - r * params.kernel_w) * params.dilation_w;
    let h = down / params.stride_h;
    let w = right / params.stride_w;
    let on_grid = (h * params.stride_h == down) & (w * params.stride_w == right)
        & (down < vec4<u32>(0x80000000u)) & (right < vec4<u32>(0x80000000u));
    let inside = on_grid & (h < vec4<u32>(params.out_height)) & (w < vec4<u32>(params.out_width));
    return Seen(columns.image + (out * params.out_height + h) * params.out_width + w, inside);
}

fn y_column(group: u32, split: u32, pixel: u32) -> u32 {
    let plane = y_step();
    let image = pixel / plane;
    let first = (image * params.groups + group) * params.channels * plane;
    return params.y_base + first + pixel - image * plane;
}

fn y_step() -> u32 {
    return params.height * params.width;
}

fn third_index(group: u32, row: u32, pixel: u32) -> u32 {
    return group * params.channels + row;
}
