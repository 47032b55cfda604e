// The weights of a convolution as conv_registers and conv_grad_input by tiles read them: vec4s of
// four output channels, one for each tap.
//   packed[group][chunk][in][i][slot][block], out = 4 * (chunk * blocks + block) = weight[group *
//   group_step + in * in_step + out * out_step + first + i * row_step + j * col_step] j = phase +
//   position * phases for slot = position + phase * positions; 0 where out or j is past the end.
// "out" and "in" are the channels that the convolution writes and reads: O and I of weight [O, I,
// R, S] forward, I and O for the gradient of the input, whose taps belong to one residue class of
// the stride (and run backwards for conv_registers). Reference: src/ops/conv/geometry.rs.
// One invocation makes one vec4, one workgroup workgroup_size of them, side by side.
// Providers: lib/grid, lib/divide.

struct Params {
    grid: Grid,
    quads: u32, // vec4s in all
    chunks: u32, // runs of `blocks` vec4s that cover the output channels of a group
    blocks: u32,
    outs: u32, // output channels per group
    channels: u32, // input channels per group
    taps_h: u32,
    taps_w: u32,
    phases: u32,
    positions: u32,
    group_step: u32,
    in_step: u32,
    out_step: u32,
    first: u32,
    row_step: u32, // may be negative: it wraps
    col_step: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

override workgroup_size: u32 = 64u;

fn element(at: u32, out: u32) -> f32 {
    if out < params.outs {
        return weight[at + out * params.out_step];
    }
    return 0.0;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.quads {
        return;
    }
    let place = quotient(index, params.blocks);
    let block = index - place * params.blocks;
    let slots = params.phases * params.positions;
    let line = quotient(place, slots);
    let slot = place - line * slots;
    let phase = quotient(slot, params.positions);
    let j = phase + (slot - phase * params.positions) * params.phases;
    let plane = quotient(line, params.taps_h);
    let i = line - plane * params.taps_h;
    let run = quotient(plane, params.channels);
    let channel = plane - run * params.channels;
    let group = quotient(run, params.chunks);
    let out = ((run - group * params.chunks) * params.blocks + block) * 4u;
    var value = vec4<f32>();
    if j < params.taps_w {
        let at = group * params.group_step
            + channel * params.in_step
            + params.first
            + i * params.row_step
            + j * params.col_step;
        value = vec4<f32>(
            element(at, out), element(at, out + 1u), element(at, out + 2u), element(at, out + 3u)
        );
    }
    packed[index] = value;
}
