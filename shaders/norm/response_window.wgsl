// sums[i] += sum of the blocks of one level that the window of channels around that of i takes from
// it: all of that long window, when the levels have been taken in order from level 0 on, which sets
// sums[i].
//
// Layout: sums [rows, channels, plane] counted from base; blocks [rows, level_blocks, plane] as
// norm/response_level.wgsl makes them. The window of channel c is c - before ..= c + after, as far
// as there are channels. Of each level it takes those blocks that lie within, but for those that
// belong to a block of the next level which does too. Reference:
// src/ops/norm/local_response_norm.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides:
// workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base: u32,
    channels: u32,
    plane: u32,
    before: u32,
    after: u32,
    level: u32,
    level_blocks: u32,
}

@group(0) @binding(0) var<storage, read> blocks: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let line = i / params.plane;
        let row = line / params.channels;
        let channel = line - row * params.channels;
        // The blocks of this level that lie within the window.
        var begin = channel - min(channel, params.before);
        var end = min(channel + params.after, params.channels - 1u) + 1u;
        for (var level = 0u; level < params.level; level += 1u) {
            begin = (begin + 15u) / 16u;
            end = end / 16u;
        }
        // Those of the next level leave up to 15 on either side; where there are none, these are up
        // to 30.
        var left = 16u * ((begin + 15u) / 16u);
        var right = 16u * (end / 16u);
        if left >= right {
            left = max(begin, end);
            right = left;
        }
        let at = params.base + i;
        let first = row * params.level_blocks * params.plane + i - line * params.plane;
        var sum = 0.0;
        for (var block = begin; block < left; block += 1u) {
            sum += blocks[first + block * params.plane];
        }
        for (var block = right; block < end; block += 1u) {
            sum += blocks[first + block * params.plane];
        }
        if params.level > 0u {
            sum += sums[at];
        }
        sums[at] = sum;
    }
}
