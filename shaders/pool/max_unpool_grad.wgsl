// dx[o] = dy[index[o]] where element o won that place, else 0.
//
// Layout: index and dx [planes, x_plane], dy [planes, y_plane], counted from index_base, x_base and
// y_base; winner as pool/max_unpool_winner.wgsl makes it. Reference: src/ops/pool/unpool.rs.
// One invocation makes one element of dx, one workgroup workgroup_size.
// Overrides: workgroup_size. Providers: max_unpool_params, lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let o = workgroup_index(group) * workgroup_size + local;
    if o < params.count {
        let at = index[params.index_base + o];
        let place = quotient(o, params.x_plane) * params.y_plane + at;
        var value = 0.0;
        if at < params.y_plane {
            if winner[place] == o + 1u {
                value = dy[params.y_base + place];
            }
        }
        dx[params.x_base + o] = value;
    }
}
