// boxes[r] = the columns from x on and before y, and the rows from z on and before w, that the 64
// places of run r of a grid read, and perhaps some more.
//
// Layout: grid [n, places, 2] from its base on, boxes [n, runs]. A run of which nothing is read has
// a box without columns. Reference: src/ops/resize/sample/mod.rs. One invocation makes one box, one
// workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: Place, place_in, Taps and taps_at (grid_place), lib/grid,
// lib/float, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    runs: u32,
    places: u32,
    grid_base: u32,
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

@group(0) @binding(0) var<storage, read> places: array<f32>;
@group(0) @binding(1) var<storage, read_write> boxes: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

const RUN: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let image = quotient(i, params.runs);
        let run = i - image * params.runs;
        let extents = vec2<i32>(i32(params.width), i32(params.height));
        var least = extents;
        var end = vec2<i32>();
        for (var t = 0u; t < RUN; t++) {
            let o = run * RUN + t;
            if o < params.places {
                let at = params.grid_base + 2u * (image * params.places + o);
                let place = place_in(places[at], places[at + 1u]);
                if !is_nan(place[0].at) && !is_nan(place[1].at) {
                    let first = vec2<i32>(
                        taps_at(place[0].at, params.width).first,
                        taps_at(place[1].at, params.height).first,
                    );
                    // One more on each side: where a box is used, places may be rounded otherwise.
                    least = min(least, first - 1);
                    end = max(end, first + 3);
                }
            }
        }
        let begin = max(least, vec2<i32>());
        let limit = min(max(end, vec2<i32>()), extents);
        boxes[i] = vec4<u32>(u32(begin.x), u32(limit.x), u32(begin.y), u32(limit.y));
    }
}
