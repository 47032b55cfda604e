// order[rank of i] = i: boxes by falling scores, equal ones in order of place, NaN before all.
//
// Reference: src/ops/detect/nms.rs. One invocation ranks one box, one workgroup workgroup_size of
// them. Overrides: workgroup_size. Providers: lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> order: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let own = scores[i];
        let own_is_nan = is_nan(own);
        var rank = 0u;
        for (var j = 0u; j < params.count; j++) {
            let other = scores[j];
            let other_is_nan = is_nan(other);
            let equal = (own_is_nan && other_is_nan)
                || (!own_is_nan && !other_is_nan && own == other);
            let above = (other_is_nan && !own_is_nan)
                || (!other_is_nan && !own_is_nan && other > own);
            rank += select(0u, 1u, above || (equal && j < i));
        }
        order[rank] = i;
    }
}
