// y[o] = the element of x that the index of window o names, 0 if it names none.
//
// Layout: x [planes, depth, height, width], y and index [planes, out_depth, out_height, out_width],
// counted from x_base, y_base and index_base. Indices are those of pool/max_pool.wgsl. Reference:
// src/ops/pool/max_grad.rs.
// One invocation makes one output, one workgroup workgroup_size.
// Overrides: workgroup_size.
// Providers: index_at (index_window or index_plane), pool_windows, pool_params, pool_place,
// lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let o = workgroup_index(group) * workgroup_size + local;
    if o < params.count {
        let at = place(o);
        let plane = quotient(at.slab, params.out_depth);
        let own = index_at(params.index_base + o);
        let slice = own / params.pitch_depth;
        let rest = own - slice * params.pitch_depth;
        let row = rest / params.pitch_height;
        let d = slice + params.relative * origin(depth_axis(), at.slab - plane * params.out_depth);
        let h = row + params.relative * origin(height_axis(), at.row);
        let w =
            rest - row * params.pitch_height + params.relative * origin(width_axis(), at.column);
        var value = 0.0;
        if d < params.depth && h < params.height && w < params.width {
            let row = (plane * params.depth + d) * params.height + h;
            value = x[params.x_base + row * params.width + w];
        }
        y[params.y_base + o] = value;
    }
}
