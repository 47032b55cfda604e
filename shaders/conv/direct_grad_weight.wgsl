// dweight[o, c, tap] = sum over n and p of dy[n, o, p] x[n, c, the element that the tap sees from
// p]: the gradient of the weight of a convolution over three axes without tiles and with any
// padding.
//
// Layout: source = x [N, G * channels, ..], dy [N, G * outs, ..], dweight [G * outs, channels, ..].
// The rows of all dy may be cut into parts of `share` rows, or of `reach` columns of one row, whose
// sums are stored `part` elements apart.
// Reference: src/ops/conv/geometry.rs.
// One invocation sums four taps of `block` channels of dy and one channel of x over the rows of one
// part; one workgroup workgroup_size of these. A product counts where its element is read: padding
// never multiplies.
// Overrides: block (1 for groups of one channel, or 4), workgroup_size.
// Providers: Params (conv_direct_params; from_base counts in x, to_base in dy), source and
// gather_any (conv_gather), lib/pad, lib/grid, lib/divide.

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override block: u32 = 4u;
override workgroup_size: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.count {
        return;
    }
    let taps = params.kernel_d * params.kernel_h * params.kernel_w;
    let tap_quads = (taps + 3u) / 4u;
    var rest = quotient(index, tap_quads);
    let tap = (index - rest * tap_quads) * 4u;
    var next = quotient(rest, params.channels);
    let channel = rest - next * params.channels;
    rest = quotient(next, params.chunks);
    let out = (next - rest * params.chunks) * block;
    let part = quotient(rest, params.groups);
    let group = rest - part * params.groups;

    // The kernel's coordinates of four taps; those past the last see nothing.
    let lanes = vec4<u32>(0u, 1u, 2u, 3u);
    let tap4 = tap + lanes;
    let line4 = tap4 / params.kernel_w;
    let c4 = tap4 - line4 * params.kernel_w;
    let t4 = line4 / params.kernel_h;
    let r4 = line4 - t4 * params.kernel_h;
    let counts = tap4 < vec4<u32>(taps);

    let plane_x = params.from_depth * params.from_height * params.from_width;
    let plane_y = params.to_depth * params.to_height * params.to_width;
    let left = c4 * params.dilation_w - params.before_w;
    // Channels past the last read the first again; they are not stored.
    let steps = select(vec4<u32>(), lanes * plane_y, out + lanes < vec4<u32>(params.outs));
    var a = vec4<f32>();
    var b = vec4<f32>();
    var c = vec4<f32>();
    var d = vec4<f32>();
    let number = params.first_part + part;
    let run = quotient(number, params.pieces);
    let first_column = (number - run * params.pieces) * params.reach;
    let end_column = min(first_column + params.reach, params.to_width);
    let end = min((run + 1u) * params.share, params.rows);
    // Where the line lies: its row, its depth and its image.
    let first_line = run * params.share;
    let slab = quotient(first_line, params.to_height);
    var y_row = first_line - slab * params.to_height;
    var image = quotient(slab, params.to_depth);
    var y_depth = slab - image * params.to_depth;
    for (var line = first_line; line < end; line++) {
        let row = pad_source4(
            params.mode,
            y_row * params.stride_h + r4 * params.dilation_h - params.before_h,
            params.from_height,
        );
        let depth = pad_source4(
            params.mode,
            y_depth * params.stride_d + t4 * params.dilation_d - params.before_d,
            params.from_depth,
        );
        let there =
            counts & (row < vec4<u32>(params.from_height)) & (depth < vec4<u32>(params.from_depth));
        let line_x = params.from_base
            + image * params.from_image
            + (group * params.channels + channel) * plane_x
            + (depth * params.from_height + row) * params.from_width;
        var at = params.to_base + image * params.to_image + (group * params.outs + out) * plane_y
            + (y_depth * params.to_height + y_row) * params.to_width + first_column;
        for (var column = first_column; column < end_column; column++) {
            let seen = pad_source4(params.mode, column * params.stride_w + left, params.from_width);
            let inside = there & (seen < vec4<u32>(params.from_width));
            let x = gather_any(line_x + seen, inside);
            a = select(a, a + x * dy[at], inside);
            if block > 1u {
                b = select(b, b + x * dy[at + steps.y], inside);
                c = select(c, c + x * dy[at + steps.z], inside);
                d = select(d, d + x * dy[at + steps.w], inside);
            }
            at++;
        }
        y_row++;
        if y_row == params.to_height {
            y_row = 0u;
            y_depth++;
        }
        if y_depth == params.to_depth {
            y_depth = 0u;
            image++;
        }
    }

    var to = params.filter_base
        + part * params.part
        + ((group * params.outs + out) * params.channels + channel) * taps
        + tap;
    for (var i = 0u; i < min(block, params.outs - out); i++) {
        for (var j = 0u; j < min(4u, taps - tap); j++) {
            dweight[to + j] = a.x;
            a = a.yzwx;
        }
        to += params.channels * taps;
        a = b;
        b = c;
        c = d;
    }
}
