// Provider of rows, columns, load_a, seen and store_one for gemm_*: dweight[o, (c, r, s)] = sum
// over pixels of dy[o, pixel] x[(c, r, s), pixel].
//
// x [N, C, H, W], dy [N, O, OH, OW], dweight [O, C / groups, R, S]. Rows are the filters of a
// group, columns its weights per filter, terms its output pixels. With several splits, y holds one
// dweight per split.

@group(0) @binding(1) var<storage, read> dy: array<f32>;

// Four weights: their channel's plane within an image, and the offset of their tap.
struct Columns {
    plane: vec4<u32>,
    row: vec4<u32>,
    column: vec4<u32>,
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
    if k >= end {
        return vec4<f32>();
    }
    let plane = params.out_height * params.out_width;
    let image = k / plane;
    let at =
        params.a_base + (image * params.groups * params.outs + row) * plane + k - image * plane;
    return vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
}

fn seen(columns: Columns, k: u32) -> Seen {
    let line = k / params.out_width;
    let image = line / params.out_height;
    let h = columns.row + (line - image * params.out_height) * params.stride_h;
    let w = columns.column + (k - line * params.out_width) * params.stride_w;
    let inside = (h < vec4<u32>(params.height)) & (w < vec4<u32>(params.width));
    return Seen(
        params.b_base
            + ((image * params.groups * params.channels + columns.plane) * params.height + h)
                * params.width
            + w,
        inside,
    );
}

fn store_one(group: u32, split: u32, row: u32, column: u32, value: f32) {
    let at = params.y_base + split * params.part + (group * params.m + row) * params.n + column;
    y[at] = finish(value, row, at);
}
