// y[e] = the element of x that won place e, 0 if there is none.
//
// Layout: x [planes, x_plane] and y [planes, y_plane] counted from x_base and y_base; winner as
// pool/max_unpool_winner.wgsl makes it.
// Reference: src/ops/pool/unpool.rs. One invocation makes one element of y, one workgroup
// workgroup_size.
// Overrides: workgroup_size. Providers: max_unpool_params, lib/grid.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> winner: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let e = workgroup_index(group) * workgroup_size + local;
    if e < params.count {
        let o = winner[e];
        var value = 0.0;
        if o > 0u {
            value = x[params.x_base + o - 1u];
        }
        y[params.y_base + e] = value;
    }
}
