// to[a] = sum over b of weight(a, b) * from[b]: an image resized, or the gradient of that; a and b
// run over depth, height, width.
//
// Layout: planes of three axes, outermost first; read_base and write_base are where they begin.
// Output o of an axis stands at the place max(o * scale + add - sub, 0) / divisor between the
// elements of the input, of which it reads the one below, with reach 1 also the one above, each
// weighted by its nearness, or with reach 2 two on either side, those beyond the ends being the
// ends, weighted by Keys' cubic; its place may lie below 0. Elements of weight 0 are not read.
// Reference: src/ops/resize/mod.rs. One invocation makes one element, one workgroup workgroup_size
// of them.
// Overrides: cut (1: to_values[j] is the sum of a piece of what an element is made of), reach (0:
// the element below alone), workgroup_size.
// Providers: Span, span, Walk, walk, walked, weight, reads and writes (resize_forward or
// resize_grad), lib/pieces, lib/grid.

override cut: u32 = 0u;
override reach: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    read_base: u32,
    write_base: u32,
    input0: u32,
    output0: u32,
    scale0: u32,
    add0: u32,
    sub0: u32,
    divisor0: u32,
    input1: u32,
    output1: u32,
    scale1: u32,
    add1: u32,
    sub1: u32,
    divisor1: u32,
    input2: u32,
    output2: u32,
    scale2: u32,
    add2: u32,
    sub2: u32,
    divisor2: u32,
    // Pieces of long sums, see lib/pieces.
    first: u32,
    outputs: u32,
    taps0: u32,
    taps1: u32,
    taps2: u32,
    taps3: u32,
    pieces1: u32,
    pieces2: u32,
    pieces3: u32,
}

struct Axis {
    input: u32,
    output: u32,
    scale: u32,
    add: u32,
    sub: u32,
    divisor: u32,
}

// What an output reads: input `first` with weight `low`, and, unless `high` is 0, the next one with
// weight `high`.
struct Taps {
    first: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<storage, read> from_values: array<f32>;
@group(0) @binding(1) var<storage, read_write> to_values: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

// Where an output stands: the input below its place, and how far above that, in units of 1 /
// divisor.
struct Place {
    below: i32,
    above: u32,
}

fn place_of(axis: Axis, o: u32) -> Place {
    // So many elements further, which makes it positive.
    let further = axis.sub / axis.divisor + 1u;
    let place = o * axis.scale + axis.add + further * axis.divisor - axis.sub;
    let below = place / axis.divisor;
    return Place(i32(below) - i32(further), place - below * axis.divisor);
}

// unit is 1 / divisor.
fn taps(axis: Axis, place: Place, unit: f32) -> Taps {
    if place.below + 1 >= i32(axis.input) {
        return Taps(axis.input - 1u, 1.0, 0.0);
    }
    if reach == 0u || place.below < 0 {
        return Taps(u32(max(place.below, 0)), 1.0, 0.0);
    }
    let above = f32(place.above) * unit;
    // 1 where the output stands on an input.
    return Taps(u32(place.below), 1.0 - above, above);
}

// What an output reads with reach 2: four inputs from `first` on, which may lie beyond the ends.
struct Cubic {
    first: i32,
    weights: vec4<f32>,
}

fn cubic(place: Place, unit: f32) -> Cubic {
    let t = f32(place.above) * unit;
    let near = vec2<f32>(t, 1.0 - t);
    let far = vec2<f32>(1.0 + t, 2.0 - t);
    let inner = (1.25 * near - 2.25) * near * near + 1.0;
    let outer = ((-0.75 * far + 3.75) * far - 6.0) * far + 3.0;
    return Cubic(place.below - 1, vec4<f32>(outer.x, inner.x, inner.y, outer.y));
}

// The weight of input i in it.
fn cubic_weight(axis: Axis, own: Cubic, i: u32) -> f32 {
    let at = vec4<i32>(own.first) + vec4<i32>(0, 1, 2, 3);
    let inputs = min(max(at, vec4<i32>()), vec4<i32>(i32(axis.input) - 1));
    return dot(select(vec4<f32>(), own.weights, inputs == vec4<i32>(i32(i))), vec4<f32>(1.0));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.count {
        let piece = piece_of(j);
        let i = piece.output;
        let axis0 = Axis(
            params.input0, params.output0, params.scale0, params.add0, params.sub0, params.divisor0
        );
        let axis1 = Axis(
            params.input1, params.output1, params.scale1, params.add1, params.sub1, params.divisor1
        );
        let axis2 = Axis(
            params.input2, params.output2, params.scale2, params.add2, params.sub2, params.divisor2
        );
        let a2 = i % writes(axis2);
        var rest = i / writes(axis2);
        let a1 = rest % writes(axis1);
        rest = rest / writes(axis1);
        let a0 = rest % writes(axis0);
        let plane = rest / writes(axis0);
        var span0 = span(axis0, a0);
        var span1 = span(axis1, a1);
        var span2 = span(axis2, a2);
        if cut == 1u {
            span0.begin += piece.along.y * params.taps1;
            span0.end = min(span0.end, span0.begin + params.taps1);
            span1.begin += piece.along.z * params.taps2;
            span1.end = min(span1.end, span1.begin + params.taps2);
            span2.begin += piece.along.w * params.taps3;
            span2.end = min(span2.end, span2.begin + params.taps3);
        }
        var walk0 = walk(axis0, span0);
        let first1 = walk(axis1, span1);
        let first2 = walk(axis2, span2);
        var sum = 0.0;
        for (var b0 = span0.begin; b0 < span0.end; b0++) {
            let weight0 = weight(axis0, span0, walk0, a0, b0);
            walk0 = walked(axis0, walk0);
            if weight0 != 0.0 {
                let at0 = plane * reads(axis0) + b0;
                var walk1 = first1;
                for (var b1 = span1.begin; b1 < span1.end; b1++) {
                    let weight1 = weight0 * weight(axis1, span1, walk1, a1, b1);
                    walk1 = walked(axis1, walk1);
                    if weight1 != 0.0 {
                        let at1 = params.read_base + (at0 * reads(axis1) + b1) * reads(axis2);
                        var walk2 = first2;
                        for (var b2 = span2.begin; b2 < span2.end; b2++) {
                            let weight2 = weight1 * weight(axis2, span2, walk2, a2, b2);
                            walk2 = walked(axis2, walk2);
                            if weight2 != 0.0 {
                                sum += weight2 * from_values[at1 + b2];
                            }
                        }
                    }
                }
            }
        }
        to_values[params.write_base + j] = sum;
    }
}
