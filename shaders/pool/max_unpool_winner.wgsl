// winner[e] = 1 + the last element o of x, in the plane of e, whose index is e; 0, as it was
// before, if there is none.
//
// Layout: index [planes, x_plane] counted from index_base; winner [planes, y_plane] and o counted
// from the first plane. Indices outside the plane are passed over. A maximum of integers does not
// depend on the order of the invocations.
// Reference: src/ops/pool/unpool.rs. One invocation looks at one element of x, one workgroup at
// workgroup_size.
// Overrides: workgroup_size. Providers: max_unpool_params, lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> index: array<u32>;
@group(0) @binding(1) var<storage, read_write> winner: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let o = workgroup_index(group) * workgroup_size + local;
    if o < params.count {
        let at = index[params.index_base + o];
        if at < params.y_plane {
            atomicMax(&winner[quotient(o, params.x_plane) * params.y_plane + at], o + 1u);
        }
    }
}
