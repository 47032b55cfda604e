// Second stage of conv_grad_weight_registers: dweight[o, c, i, j] = sum over k of parts[k], in the order of k.
//
// Layout of parts, x and dy: see conv_grad_weight_registers. dweight [O, C, R, S]. Reference: src/ops/conv/registers_grad_weight.rs.
// One invocation sums one vec4 of the parts, at most four elements of dweight; one workgroup workgroup_size of them, side by side.
// Overrides: workgroup_size (64, or 8 for few sums on a CPU adapter).
// Providers: lib/grid, lib/divide, lib/float.

struct Params {
    grid: Grid,
    quads: u32, // vec4s of a part
    parts: u32,
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
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

override workgroup_size: u32 = 64u;

// One element of dweight again, without the products of zeros around x and of columns past the row: where the sum of all is NaN, those
// may be why. NaN stays where the driver ended the loops, as llvmpipe does after 65,535 turns.
fn mended(nan: f32, group: u32, out: u32, channel: u32, i: u32, j: u32) -> f32 {
    let left = j * params.dilation_w - params.pad_w;
    var sum = 0.0;
    var seen = 0u;
    for (var line = 0u; line < params.batch * params.rows && !is_nan(sum); line++) {
        let image = line / params.rows;
        let row = line - image * params.rows;
        let h = row * params.stride_h + i * params.dilation_h - params.pad_h;
        if h >= params.height {
            seen += params.cols;
            continue;
        }
        let plane = (image * params.groups + group) * params.channels + channel;
        let plane_y = (image * params.groups + group) * params.outs + out;
        let from_x = params.x_base + (plane * params.height + h) * params.width;
        let from_y = params.dy_base + (plane_y * params.rows + row) * params.cols;
        for (var col = 0u; col < params.cols; col++) {
            let w = col * params.stride_w + left;
            if w < params.width {
                sum += x[from_x + w] * dy[from_y + col];
            }
            seen++;
        }
    }
    return select(nan, sum, seen == params.batch * params.rows * params.cols);
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
    var to = (group * params.outs + out) * filter_size + (channel * params.kernel_h + i) * params.kernel_w + j;
    for (var o = out; o < min(out + 4u, params.outs); o++) {
        if is_nan(sum.x) {
            sum.x = mended(sum.x, group, o, channel, i, j);
        }
        dweight[to] = sum.x;
        sum = sum.yzwx;
        to += filter_size;
    }
}
