// sums[s] = both sums of set s from those of its chunks, in order: the second stage.
//
// Layout: partials [chunks, sets] of (plain, scaled). Reference: src/ops/norm/normalize.rs.
// One invocation makes one set, one workgroup workgroup_size. Overrides: workgroup_size.
// Providers: put (norm_sums_affine or norm_sums_table), lib/grid.

override workgroup_size: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let own = workgroup_index(group) * workgroup_size + local;
    if own < params.sets {
        let sets = params.sets;
        let end = params.chunks * sets;
        var sums = vec2<f32>();
        for (var i = own; i < end; i += sets) {
            sums += partials[i];
        }
        put(own, sums);
    }
}
