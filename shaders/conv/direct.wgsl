// y[n, o, p] = sum over c and taps of weight[o, c, tap] x[n, c, the element that the tap sees from
// p]: convolutions over three axes without tiles and with any padding, forward, and backwards for
// the gradient of the input.
//
// Layout: source [N, G * channels, ..], y [N, G * outs, ..], both perhaps among more channels,
// weight as the steps in Params say. Reference: src/ops/conv/geometry.rs.
// One invocation makes four columns of one row, a quarter of the row apart, so that neighbours
// touch neighbouring addresses, of `block` channels of y; one workgroup workgroup_size of these,
// along the row first. A product counts where its element is read: padding never multiplies. A long
// sum is cut into pieces, one a dispatch, of some channels, taps and places.
// Overrides: block (1 for groups of one channel, or 4), workgroup_size.
// Providers: Params (conv_direct_params), sums (conv_direct_forward or conv_direct_grad_input),
// source and gather_any (conv_gather), end, y and finish (y_elements), lib/pad, lib/grid,
// lib/divide, lib/float.

@group(0) @binding(1) var<storage, read> weight: array<f32>;

override block: u32 = 4u;
override workgroup_size: u32 = 64u;

// Four columns of each of up to four channels.
struct Sums {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

// Where an invocation stands: its image and group in the source, its first weight and the steps to
// those of its channels, its depth, row and columns.
struct Place {
    image: u32,
    weight: u32,
    steps: vec4<u32>,
    depth: u32,
    row: u32,
    columns: vec4<u32>,
}

// Adds the products of one tap with the elements that it sees, if they are inside, over the
// channels of the source that are summed.
fn add_tap(sums: Sums, place: Place, tap: u32, element: vec4<u32>, inside: vec4<bool>) -> Sums {
    var s = sums;
    var index = place.image + element;
    var at = place.weight + tap;
    let plane = params.from_depth * params.from_height * params.from_width;
    for (var channel = 0u; channel < params.summed; channel++) {
        let x = gather_any(index, inside);
        s.a = select(s.a, s.a + x * weight[at], inside);
        if block > 1u {
            s.b = select(s.b, s.b + x * weight[at + place.steps.y], inside);
            s.c = select(s.c, s.c + x * weight[at + place.steps.z], inside);
            s.d = select(s.d, s.d + x * weight[at + place.steps.w], inside);
        }
        index += plane;
        at += params.from_step;
    }
    return s;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.count {
        return;
    }
    let quarter = (params.to_width + 3u) / 4u;
    var rest = quotient(index, quarter);
    let column = index - rest * quarter;
    var next = quotient(rest, params.to_height);
    let row = rest - next * params.to_height;
    rest = quotient(next, params.to_depth);
    let depth = next - rest * params.to_depth;
    next = quotient(rest, params.chunks);
    let out = (rest - next * params.chunks) * block;
    let image = quotient(next, params.groups);
    let group = next - image * params.groups;

    let plane = params.from_depth * params.from_height * params.from_width;
    // Channels past the last compute the first again.
    let channels = vec4<u32>(0u, 1u, 2u, 3u);
    let steps = select(
        vec4<u32>(), channels * params.to_step, out + channels < vec4<u32>(params.outs)
    );
    let columns = column + channels * quarter;
    var sum = sums(Place(
        params.from_base + image * params.from_image + group * params.channels * plane,
        params.filter_base + group * params.group_step + out * params.to_step,
        steps, depth, row, columns));

    let first_channel = group * params.outs + out;
    let plane_y = params.to_depth * params.to_height * params.to_width;
    var at = params.to_base + image * params.to_image + first_channel * plane_y
        + (depth * params.to_height + row) * params.to_width;
    for (var i = 0u; i < min(block, params.outs - out); i++) {
        for (var j = 0u; j < 4u; j++) {
            let to = column + j * quarter;
            if to < params.to_width {
                y[at + to] = finish(sum.a.x, params.to_channel + first_channel + i, at + to);
            }
            sum.a = sum.a.yzwx;
        }
        sum = Sums(sum.b, sum.c, sum.d, sum.a);
        at += plane_y;
    }
}
