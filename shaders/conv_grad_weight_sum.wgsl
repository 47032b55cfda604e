// Second stage of conv_grad_weight_registers: dweight[o, c, i, j] = sum over k of parts[k], in the order of k.
//
// Layout of parts: see conv_grad_weight_registers. dweight [O, C, R, S]. Reference: src/ops/conv2d_registers.rs.
// One invocation sums one vec4 of the parts, at most four elements of dweight; one workgroup workgroup_size of them, side by side.
// Providers: lib/grid, lib/divide.

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
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

override workgroup_size: u32 = 64u;

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
    let to = (group * params.outs + out) * filter_size + (channel * params.kernel_h + i) * params.kernel_w + j;
    if out < params.outs {
        dweight[to] = sum.x;
    }
    if out + 1u < params.outs {
        dweight[to + filter_size] = sum.y;
    }
    if out + 2u < params.outs {
        dweight[to + 2u * filter_size] = sum.z;
    }
    if out + 3u < params.outs {
        dweight[to + 3u * filter_size] = sum.w;
    }
}
