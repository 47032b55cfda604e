// Provider of rows_first, rows, columns, load_a, seen, y_column, y_step and third_index for gemm_*:
// dx[c, pixel] = sum over (o, r, s) of weight[o, c, r, s] dy[o, the output that tap (r, s) links to
// pixel].
//
// dy [N, O, OH, OW], dx [N, C, H, W], weight packed by conv/pack as [O, taps of the class, quads]
// vec4s of channels of a group. Rows are the channels of a group, columns the pixels of a class of
// its input: those that the same taps see.

// Four input pixels: where their image begins in dy, and their padded coordinates.
struct Columns {
    image: vec4<u32>,
    row: vec4<u32>,
    column: vec4<u32>,
}

fn rows_first() -> bool {
    return true;
}

fn rows(group: u32, first: u32) -> vec4<u32> {
    let channel = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.m - 1u));
    return group * params.k * params.quads * 4u + channel;
}

fn columns(group: u32, first: u32) -> Columns {
    let pixel = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
    let line = pixel / params.class_width;
    let image = line / params.class_height;
    let row = line - image * params.class_height;
    let column = pixel - line * params.class_width;
    return Columns(
        params.b_base
            + (image * params.groups + group) * params.outs * params.out_height * params.out_width,
        params.first_row + row * params.jump_h + params.pad_h,
        params.first_column + column * params.jump_w + params.pad_w);
}

fn load_a(row: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = row + k * params.quads * 4u;
    return vec4<f32>(
        second_element(at.x), second_element(at.y), second_element(at.z), second_element(at.w)
    );
}

fn seen(columns: Columns, k: u32) -> Seen {
    let taps = params.taps_h * params.taps_w;
    let out = k / taps;
    let tap = tap_place(k - out * taps);
    // Below 0 wraps to a large number, whose quotient lies outside.
    let down = columns.row - tap.x * params.dilation_h;
    let right = columns.column - tap.y * params.dilation_w;
    let h = down / params.stride_h;
    let w = right / params.stride_w;
    let on_grid = (h * params.stride_h == down) & (w * params.stride_w == right)
        & (down < vec4<u32>(0x80000000u)) & (right < vec4<u32>(0x80000000u));
    let inside = on_grid & (h < vec4<u32>(params.out_height)) & (w < vec4<u32>(params.out_width));
    return Seen(columns.image + (out * params.out_height + h) * params.out_width + w, inside);
}

fn y_column(group: u32, split: u32, pixel: u32) -> u32 {
    let line = pixel / params.class_width;
    let image = line / params.class_height;
    let row = params.first_row + (line - image * params.class_height) * params.jump_h;
    let column = params.first_column + (pixel - line * params.class_width) * params.jump_w;
    let first = (image * params.groups + group) * params.channels * y_step();
    return params.y_base + first + row * params.width + column;
}

fn y_step() -> u32 {
    return params.height * params.width;
}

fn third_index(group: u32, row: u32, pixel: u32) -> u32 {
    return group * params.channels + row;
}
