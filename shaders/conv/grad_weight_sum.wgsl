// Second stage of conv_grad_weight_registers: dweight[o, c, i, j] = sum over k of parts[k], in the
// order of k.
//
// Layout of parts, x and dy: see conv_grad_weight_registers. dweight [O, C, R, S]. Reference:
// src/ops/conv/cpu/grad_weight.rs.
// One invocation sums one vec4 of the parts, at most four elements of dweight; one workgroup
// workgroup_size of them, side by side.
// Overrides: workgroup_size (64, or 8 for few sums on a CPU adapter).
// Providers: lib/grid, lib/divide, lib/float.

struct Params {
    grid: Grid,
    quads: u32, // vec4s of a part
    chunks: u32,
    blocks: u32,
    lines: u32,
    taps: u32,
    outs: u32,
    channels: u32,
    kernel_h: u32,
    kernel_w: u32,
    bands: u32,
    phases: u32,
    runs: u32,
    batch: u32,
    groups: u32,
    height: u32,
    width: u32,
    rows: u32,
    cols: u32,
    stride_h: u32,
    stride_w: u32,
    dilation_h: u32,
    dilation_w: u32,
    pad_h: u32,
    pad_w: u32,
    x_base: u32,
    dy_base: u32,
    parts: u32, // 0 where a dispatch only mends what another one has stored
    first_line: u32, // rows of dy of all images over which sums that are NaN are made again
    end_line: u32,
}

@group(0) @binding(0) var<storage, read_write> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override workgroup_size: u32 = 64u;

// The products of column `col` of a row of dy, of four channels `steps` apart from element `from_y`
// on, with what the tap sees of the row of x that begins at element `from_x`; 0 where it sees none.
fn products(from_x: u32, w: u32, from_y: u32, steps: vec4<u32>, col: u32) -> vec4<f32> {
    if col >= params.cols || w >= params.width {
        return vec4<f32>();
    }
    let at = from_y + col + steps;
    return x[from_x + w] * vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
}

// Four elements of dweight again, without the products of zeros around x and of columns past the
// row: where the sum of all is NaN, those may be why. They go on from `so_far`, over the lines of
// this dispatch.
fn mended(so_far: vec4<f32>, group: u32, out: u32, channel: u32, i: u32, j: u32) -> vec4<f32> {
    let left = j * params.dilation_w - params.pad_w;
    let plane_y = params.rows * params.cols;
    // Channels past the last read the last one again; they are not stored.
    let lanes = vec4<u32>(0u, 1u, 2u, 3u);
    let steps = min(lanes, vec4<u32>(params.outs - 1u - out)) * plane_y;
    var sum = so_far;
    // Where the next line lies.
    var next_image = params.first_line / params.rows;
    var next_row = params.first_line - next_image * params.rows;
    for (var line = params.first_line; line < params.end_line && !all(is_nan4(sum)); line++) {
        let image = next_image;
        let row = next_row;
        next_row++;
        if next_row == params.rows {
            next_row = 0u;
            next_image++;
        }
        let h = row * params.stride_h + i * params.dilation_h - params.pad_h;
        if h >= params.height {
            continue;
        }
        let plane = (image * params.groups + group) * params.channels + channel;
        let from_x = params.x_base + (plane * params.height + h) * params.width;
        let from_y = params.dy_base
            + ((image * params.groups + group) * params.outs + out) * plane_y
            + row * params.cols;
        var w = left;
        for (var col = 0u; col < params.cols; col += 4u) {
            sum += products(from_x, w, from_y, steps, col);
            sum += products(from_x, w + params.stride_w, from_y, steps, col + 1u);
            sum += products(from_x, w + 2u * params.stride_w, from_y, steps, col + 2u);
            sum += products(from_x, w + 3u * params.stride_w, from_y, steps, col + 3u);
            w += 4u * params.stride_w;
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.quads {
        return;
    }
    var rest = quotient(index, params.taps);
    let tap = index - rest * params.taps;
    var next = quotient(rest, params.lines);
    let line = rest - next * params.lines;
    rest = quotient(next, params.blocks);
    let block = next - rest * params.blocks;
    next = quotient(rest, params.runs);
    let run = rest - next * params.runs;
    rest = quotient(next, params.phases);
    let phase = next - rest * params.phases;
    next = quotient(rest, params.bands);
    let i = (rest - next * params.bands) * params.lines + line;
    rest = quotient(next, params.channels);
    let channel = next - rest * params.channels;
    let group = quotient(rest, params.chunks);
    let out = ((rest - group * params.chunks) * params.blocks + block) * 4u;
    let j = phase + (run * params.taps + tap) * params.phases;
    if i >= params.kernel_h || j >= params.kernel_w {
        return;
    }

    var sum = vec4<f32>();
    var at = index;
    for (var part = 0u; part < params.parts; part++) {
        sum += parts[at];
        at += params.quads;
    }
    let filter_size = params.channels * params.kernel_h * params.kernel_w;
    let first = (group * params.outs + out) * filter_size
        + (channel * params.kernel_h + i) * params.kernel_w
        + j;
    let end = min(out + 4u, params.outs);
    let alone = params.parts == 0u;
    // What is stored: elements that are NaN keep it until their last line is summed.
    if alone {
        for (var o = out; o < end; o++) {
            sum[o - out] = dweight[first + (o - out) * filter_size];
        }
    }
    let nan = is_nan4(sum);
    if params.first_line < params.end_line && any(nan) {
        var so_far = vec4<f32>();
        if params.first_line > 0u {
            so_far = parts[index];
        }
        let again = mended(so_far, group, out, channel, i, j);
        if params.end_line < params.batch * params.rows {
            parts[index] = again;
            return;
        }
        sum = select(sum, again, nan);
    }
    if alone && !any(nan) {
        return;
    }
    var to = first;
    for (var o = out; o < end; o++) {
        dweight[to] = sum.x;
        sum = sum.yzwx;
        to += filter_size;
    }
}
