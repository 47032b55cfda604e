// dx[i] = dy[o] where the index of window o names i, else 0: windows of 2 x 2 that tile dx; else as
// pool/max_pool_grad.wgsl.
//
// Layout: dy and index [planes, out_height, out_width] four at a time; y_base and index_base are
// multiples of 4.
// Reference: src/ops/pool/max_grad.rs.
// One invocation fills 4 windows that follow each other, over row ends too; one workgroup 4 *
// workgroup_size.
// Overrides: workgroup_size. Providers: fill (max_pool2d_grad_pairs or max_pool2d_grad_quads),
// index_quad (index_window or index_plane), pool_params, pool_place, lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

// The four elements of four windows.
struct Windows {
    upper_left: vec4<f32>,
    upper_right: vec4<f32>,
    lower_left: vec4<f32>,
    lower_right: vec4<f32>,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = 4u * (workgroup_index(group) * workgroup_size + local);
    if first < params.count {
        let p0 = place(first);
        let p1 = next(p0);
        let p2 = next(p1);
        let p3 = next(p2);
        let rows = vec4<u32>(p0.row, p1.row, p2.row, p3.row);
        let columns = vec4<u32>(p0.column, p1.column, p2.column, p3.column);
        let corner = (1u - params.relative) * 2u * (rows * params.width + columns);
        let tap = index_quad(params.index_base + first) - corner;
        let gradients = dy[(params.y_base + first) / 4u];
        let zero = vec4<f32>();
        let windows = Windows(
            select(zero, gradients, tap == vec4<u32>(0u)),
            select(zero, gradients, tap == vec4<u32>(1u)),
            select(zero, gradients, tap == vec4<u32>(params.pitch_height)),
            select(zero, gradients, tap == vec4<u32>(params.pitch_height + 1u)),
        );
        fill(p0, p1, p2, p3, windows, params.count - first);
    }
}
