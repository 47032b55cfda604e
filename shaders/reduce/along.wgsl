// y = the largest sign * x along one axis, times sign, and index = where it lies: the first of
// equal ones; the first NaN wins over all.
//
// Layout: x [outer, extent, inner], y and index [outer, inner], each from its base on. Reference:
// src/ops/reduce/along.rs. Each output is made by one invocation, or by one workgroup whose
// invocations take every lanes-th element, of those from `begin` to `until` - 1. Where begin is not
// 0 they go on with what y and index hold.
// Overrides: lanes (1 or workgroup_size), workgroup_size. Providers: lib/grid, lib/float.

override lanes: u32 = 1u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    outputs: u32,
    begin: u32,
    until: u32,
    extent: u32,
    inner: u32,
    x_base: u32,
    y_base: u32,
    index_base: u32,
    sign: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const NOWHERE: u32 = 0xffffffffu;

var<workgroup> values: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

// Whether b at place_b stands before a at place_a.
fn wins(b: f32, place_b: u32, a: f32, place_a: u32) -> bool {
    if place_a == NOWHERE || place_b == NOWHERE {
        return place_a == NOWHERE;
    }
    if is_nan(a) || is_nan(b) {
        return is_nan(b) && (!is_nan(a) || place_b < place_a);
    }
    return b > a || (b == a && place_b < place_a);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var output = workgroup_index(group);
    var lane = local;
    if lanes == 1u {
        output = output * workgroup_size + local;
        lane = 0u;
    }
    let inside = output < params.outputs;
    let first = params.x_base
        + output / params.inner * params.extent * params.inner
        + output % params.inner;
    var best = 0.0;
    var place = NOWHERE;
    if inside && lane == 0u && params.begin > 0u {
        best = params.sign * y[params.y_base + output];
        place = index[params.index_base + output];
    }
    for (var a = params.begin + lane; a < select(0u, params.until, inside); a += lanes) {
        let value = params.sign * x[first + a * params.inner];
        if wins(value, a, best, place) {
            best = value;
            place = a;
        }
    }
    if lanes > 1u {
        values[local] = best;
        places[local] = place;
        workgroupBarrier();
        for (var half = workgroup_size / 2u; half > 0u; half = half / 2u) {
            if (
                local < half
                    && wins(
                        values[local + half], places[local + half], values[local], places[local]
                    )
            ) {
                values[local] = values[local + half];
                places[local] = places[local + half];
            }
            workgroupBarrier();
        }
        best = values[0];
        place = places[0];
    }
    if inside && lane == 0u {
        y[params.y_base + output] = params.sign * best;
        index[params.index_base + output] = place;
    }
}
