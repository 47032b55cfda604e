// y[g, i] = max over p of parts[p, i], and its index: the pieces of long windows, or a group of
// them at a time.
//
// The first of equals wins, the last NaN wins over all; a piece of no elements has the index
// 0xffffffff.
// Layout: parts and part_indices [parts, outputs], y and index [groups, outputs] counted from
// y_base and index_base; group g is of the parts from g * joined on. Reference:
// src/ops/pool/max.rs. One invocation makes 4 results that follow each other, one workgroup 4 *
// workgroup_size.
// Overrides: workgroup_size. Providers: store_indices (max_pool_values, max_pool_window or
// max_pool_plane), lib/grid, lib/float.

override workgroup_size: u32 = 64u;

const INDEX: u32 = 3u;

struct Params {
    grid: Grid,
    y_base: u32,
    index_base: u32,
    // -inf, and the index of a window of no elements.
    lowest: f32,
    none: u32,
    count: u32,
    outputs: u32,
    parts: u32,
    joined: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> part_indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = 4u * (workgroup_index(group) * workgroup_size + local);
    if first < params.count {
        let results = min(4u, params.count - first);
        var indices = vec4<u32>();
        var own = first / params.outputs;
        var i = first - own * params.outputs;
        for (var k = 0u; k < results; k += 1u) {
            let begin = own * params.joined;
            let end = min(begin + params.joined, params.parts);
            var best = params.lowest;
            var index = params.none;
            var found = false;
            for (var p = begin; p < end; p += 1u) {
                let at = p * params.outputs + i;
                let value = parts[at];
                let wins = !found || is_nan(value) || (value > best && !is_nan(best));
                if part_indices[at] != 0xffffffffu && wins {
                    best = value;
                    index = part_indices[at];
                    found = true;
                }
            }
            y[params.y_base + first + k] = best;
            indices[k] = index;
            i += 1u;
            if i == params.outputs {
                i = 0u;
                own += 1u;
            }
        }
        store_indices(params.index_base + first, results, indices);
    }
}
