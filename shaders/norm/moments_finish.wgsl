// statistics[s] = (mean, variance) of set s from the number, mean and squares of its chunks, in
// order: the second stage.
//
// Layout: partials [chunks, sets] of (number, mean, squares, 0), statistics [sets, 2], from pair
// `first` on. The variance is the biased one, sum of squares / count. A set with a NaN or an
// infinity has NaN for both; one without elements 0.
// Reference: src/ops/norm/statistics.rs.
// One invocation makes one set, one workgroup workgroup_size. Overrides: workgroup_size.
// Providers: lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    sets: u32,
    chunks: u32,
    first: u32,
    share: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let own = workgroup_index(group) * workgroup_size + local;
    if own < params.sets {
        let sets = params.sets;
        let end = params.chunks * sets;
        var origin = 0.0;
        if own < end {
            origin = partials[own].y;
        }
        var sum = 0.0;
        for (var i = own; i < end; i += sets) {
            let chunk = partials[i];
            sum += chunk.x * (chunk.y - origin);
        }
        let shift = sum * params.share;
        var squares = 0.0;
        for (var i = own; i < end; i += sets) {
            let chunk = partials[i];
            let off = (chunk.y - origin) - shift;
            squares += chunk.z + chunk.x * off * off;
        }
        let variance = squares * params.share;
        let mean = select(origin + shift, variance, is_nan(variance));
        statistics[params.first + own] = vec2<f32>(mean, variance);
    }
}
