// y[n, o, p] = sum over taps of weight[o, tap] x[n, g, the element that the tap sees from p], g
// being the group of o: depthwise convolutions over three axes with zeros around x and steps of one
// along its rows, forward, and backwards for the gradient of the input.
//
// Layout: source [N, G, ..], y [N, G, ..], both perhaps among more channels, rows of both whole
// quads, weight [G, ..]. Reference: src/ops/conv/geometry.rs.
// One invocation makes one quad of a row of y, one workgroup workgroup_size of these, along the row
// first. It walks along each row that it sees quad by quad. A product counts where its element is
// read: where a sum is NaN, the zeros around x may be why, and it is made again without them. A
// long sum is cut into pieces of some taps, one a dispatch.
// Overrides: back (1: taps look the other way), workgroup_size.
// Providers: Params (conv_direct_params), end, y (y_quads), lib/grid, lib/divide, lib/float.

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;

override back: u32 = 0u;
override workgroup_size: u32 = 64u;

// Where an invocation stands: its plane of the source, its first weight, its depth, row and first
// column.
struct Place {
    plane: u32,
    weight: u32,
    depth: u32,
    row: u32,
    column: u32,
}

// The element along an axis that a tap sees from place `at`; it wraps below element 0.
fn seen(at: u32, tap: u32, stride: u32, dilation: u32, before: u32) -> u32 {
    if back == 1u {
        return at + before - tap * dilation;
    }
    return at * stride + tap * dilation - before;
}

// The quad of the line that begins at element `line` from column `col` on, zeros outside of it.
fn quad(line: u32, col: u32) -> vec4<f32> {
    let inside = col < params.from_width;
    return select(vec4<f32>(), source[select(0u, (line + col) / 4u, inside)], inside);
}

// Adds the products of four elements from column `col` on, with `careful` those inside alone.
fn added(sum: vec4<f32>, x: vec4<f32>, weight: f32, col: u32, careful: bool) -> vec4<f32> {
    let all = sum + x * weight;
    if careful {
        let inside = vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.from_width);
        return select(sum, all, inside);
    }
    return all;
}

fn sums(place: Place, careful: bool) -> vec4<f32> {
    var sum = vec4<f32>();
    // The tap that sees the leftmost columns, and from each to the next one. Elements of the first
    // quad that lie before those, which is the same in each invocation.
    let leftmost = select(params.first_w, params.end_w - 1u, back == 1u);
    let step = select(1u, 0xffffffffu, back == 1u);
    let skipped = seen(0u, leftmost, 1u, 1u, params.before_w) & 3u;
    let end = skipped + params.end_w - params.first_w;
    let first = place.column + seen(0u, leftmost, 1u, 1u, params.before_w) - skipped;
    for (var t = params.first_d; t < params.end_d; t++) {
        let depth = seen(place.depth, t, params.stride_d, params.dilation_d, params.before_d);
        if depth >= params.from_depth {
            continue;
        }
        for (var r = params.first_h; r < params.end_h; r++) {
            let row = seen(place.row, r, params.stride_h, params.dilation_h, params.before_h);
            if row >= params.from_height {
                continue;
            }
            let line = place.plane + (depth * params.from_height + row) * params.from_width;
            var at = place.weight + (t * params.kernel_h + r) * params.kernel_w + leftmost;
            var col = first;
            var low = quad(line, col);
            for (var n = 0u; n < end; n += 4u) {
                let high = quad(line, col + 4u);
                if n >= skipped {
                    sum = added(sum, low, weight[at], col, careful);
                    at += step;
                }
                if n + 1u >= skipped && n + 1u < end {
                    let x = vec4<f32>(low.yzw, high.x);
                    sum = added(sum, x, weight[at], col + 1u, careful);
                    at += step;
                }
                if n + 2u >= skipped && n + 2u < end {
                    let x = vec4<f32>(low.zw, high.xy);
                    sum = added(sum, x, weight[at], col + 2u, careful);
                    at += step;
                }
                if n + 3u >= skipped && n + 3u < end {
                    let x = vec4<f32>(low.w, high.xyz);
                    sum = added(sum, x, weight[at], col + 3u, careful);
                    at += step;
                }
                low = high;
                col += 4u;
            }
        }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.count {
        return;
    }
    let quads = params.to_width / 4u;
    var rest = quotient(index, quads);
    let column = 4u * (index - rest * quads);
    var next = quotient(rest, params.to_height);
    let row = rest - next * params.to_height;
    rest = quotient(next, params.to_depth);
    let depth = next - rest * params.to_depth;
    let image = quotient(rest, params.groups);
    let group = rest - image * params.groups;

    let plane = params.from_depth * params.from_height * params.from_width;
    let place = Place(
        params.from_base + image * params.from_image + group * plane,
        params.filter_base + group * params.group_step,
        depth, row, column);
    var sum = sums(place, false);
    if any(is_nan4(sum)) {
        sum = sums(place, true);
    }
    let line = (depth * params.to_height + row) * params.to_width;
    let plane_y = params.to_depth * params.to_height * params.to_width;
    let at = params.to_base + image * params.to_image + group * plane_y + line + column;
    let unit = at / 4u;
    y[unit] = finish_unit(finish_row(sum, params.to_channel + group), unit);
}
