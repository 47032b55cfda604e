// dx = the sum of the dy whose place in a grid reads the element, weighted by nearness, in their
// order.
//
// Layout: dy [n, channels, places], grid [n, places, 2], dx [n, channels, height, width], each from
// its base on; boxes [n, runs], what grid_boxes says that each 64 places read. Only runs from
// `begin` to `until` - 1 are summed; where begin is not 0 the sum is added to what dx holds.
// Reference: src/ops/resize/sample/mod.rs. One invocation makes one element of a block of four
// channels, of `blocks` that an image has; one workgroup makes workgroup_size of them.
// Overrides: workgroup_size. Providers: Place, place_in, Taps and taps_at (grid_place), lib/grid,
// lib/float, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    channels: u32,
    blocks: u32,
    places: u32,
    runs: u32,
    begin: u32,
    until: u32,
    dy_base: u32,
    grid_base: u32,
    dx_base: u32,
    height: u32,
    scale_y: f32,
    shift_y: f32,
    low_y: f32,
    span_y: f32,
    width: u32,
    scale_x: f32,
    shift_x: f32,
    low_x: f32,
    span_x: f32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> places: array<f32>;
@group(0) @binding(2) var<storage, read> boxes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

const RUN: u32 = 64u;

// The weight with which a place reads element i of an axis.
fn weight(at: f32, extent: u32, i: u32) -> f32 {
    let taps = taps_at(at, extent);
    return select(select(0.0, taps.high, taps.first + 1 == i32(i)), taps.low, taps.first == i32(i));
}

fn add(at: u32, sum: f32) {
    if params.begin > 0u {
        dx[at] += sum;
    } else {
        dx[at] = sum;
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let line = quotient(i, params.width);
        let column = i - line * params.width;
        let block = quotient(line, params.height);
        let row = line - block * params.height;
        let image = quotient(block, params.blocks);
        let channel = 4u * (block - image * params.blocks);
        let planes = min(params.channels - channel, 4u);
        let plane = image * params.channels + channel;
        var sum = vec4<f32>();
        for (var run = params.begin; run < params.until; run++) {
            let box = boxes[image * params.runs + run];
            if column >= box.x && column < box.y && row >= box.z && row < box.w {
                for (var t = 0u; t < RUN; t++) {
                    let o = run * RUN + t;
                    if o < params.places {
                        let at = params.grid_base + 2u * (image * params.places + o);
                        let place = place_in(places[at], places[at + 1u]);
                        if !is_nan(place[0].at) && !is_nan(place[1].at) {
                            let own = weight(place[0].at, params.width, column)
                                * weight(place[1].at, params.height, row);
                            if own != 0.0 {
                                let d = params.dy_base + plane * params.places + o;
                                sum.x += own * dy[d];
                                if planes > 1u {
                                    sum.y += own * dy[d + params.places];
                                }
                                if planes > 2u {
                                    sum.z += own * dy[d + 2u * params.places];
                                }
                                if planes > 3u {
                                    sum.w += own * dy[d + 3u * params.places];
                                }
                            }
                        }
                    }
                }
            }
        }
        let size = params.height * params.width;
        let at = params.dx_base + plane * size + row * params.width + column;
        add(at, sum.x);
        if planes > 1u {
            add(at + size, sum.y);
        }
        if planes > 2u {
            add(at + 2u * size, sum.z);
        }
        if planes > 3u {
            add(at + 3u * size, sum.w);
        }
    }
}
