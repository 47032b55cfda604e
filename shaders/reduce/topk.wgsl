// y[t] = element t of x along one axis in falling order, or in rising order, index[t] = where it
// lies: equal ones in order of place, NaN as larger than all.
//
// Layout: x [outer, extent, inner], y and index [outer, k, inner], each from its base on.
// Reference: src/ops/reduce/topk.rs. Each line is walked by one invocation, or by one workgroup
// whose invocations take every lanes-th element, once for each t from `first` to `last` - 1: for
// the one that comes next after what y and index hold for t - 1, among those from `begin` to
// `until` - 1. Where begin is not 0 it goes on with what y and index hold, and last is first + 1.
// Overrides: lanes (see lib/rows), workgroup_size. Providers: lib/rows, lib/grid, lib/float,
// lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    outputs: u32,
    first: u32,
    last: u32,
    begin: u32,
    until: u32,
    extent: u32,
    inner: u32,
    k: u32,
    smallest: u32,
    x_base: u32,
    y_base: u32,
    index_base: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const NOWHERE: u32 = 0xffffffffu;

struct Found {
    value: f32,
    place: u32,
}

var<workgroup> values: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

// Whether a comes before b, which may be nowhere: then all do.
fn comes_before(a: Found, b: Found) -> bool {
    if a.place == NOWHERE || b.place == NOWHERE {
        return b.place == NOWHERE && a.place != NOWHERE;
    }
    let a_is_nan = is_nan(a.value);
    let b_is_nan = is_nan(b.value);
    if a_is_nan != b_is_nan {
        return a_is_nan != (params.smallest == 1u);
    }
    if a_is_nan || a.value == b.value {
        return a.place < b.place;
    }
    return (a.value > b.value) != (params.smallest == 1u);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let output = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let inside = output < params.outputs;
    let outer = quotient(output, params.inner);
    let i = output - outer * params.inner;
    let first = params.x_base + outer * params.extent * params.inner + i;
    var at = outer * params.k * params.inner + params.first * params.inner + i;
    // The one before, if there is one.
    var last = Found(0.0, NOWHERE);
    if inside && params.first > 0u {
        let before = at - params.inner;
        last = Found(y[params.y_base + before], index[params.index_base + before]);
    }
    for (var t = params.first; t < params.last; t++) {
        var best = Found(0.0, NOWHERE);
        if inside && lane == 0u && params.begin > 0u {
            best = Found(y[params.y_base + at], index[params.index_base + at]);
        }
        for (var a = params.begin + lane; a < select(0u, params.until, inside); a += lanes) {
            let found = Found(x[first + a * params.inner], a);
            if (last.place == NOWHERE || comes_before(last, found)) && comes_before(found, best) {
                best = found;
            }
        }
        if lanes > 1u {
            values[local] = best.value;
            places[local] = best.place;
            workgroupBarrier();
            for (var half = workgroup_size / 2u; half > 0u; half = half / 2u) {
                if local < half {
                    let other = Found(values[local + half], places[local + half]);
                    if comes_before(other, Found(values[local], places[local])) {
                        values[local] = other.value;
                        places[local] = other.place;
                    }
                }
                workgroupBarrier();
            }
            best = Found(values[0], places[0]);
            workgroupBarrier();
        }
        if inside && lane == 0u {
            y[params.y_base + at] = best.value;
            index[params.index_base + at] = best.place;
        }
        last = best;
        at += params.inner;
    }
}
