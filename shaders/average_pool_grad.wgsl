// dx[i] = sum of the derivative of window o by element i, times dy[o], over the windows o that cover element i.
//
// Layout: x and dx [planes, depth, height, width], y and dy [planes, out_depth, out_height, out_width], counted from x_base and
// y_base. Reference: src/ops/pool/average.rs. One invocation makes one element of dx, one workgroup workgroup_size.
// Overrides: workgroup_size.
// Providers: derivative (average_mean_grad or average_lp_grad) with its average_mean or average_lp, windows_over and counted
// (pool_strided or pool_adaptive), pool_params, lib/grid; for average_lp
// lib/float.

override workgroup_size: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let line = i / params.width;
        let slab = line / params.height;
        let plane = slab / params.depth;
        let ds = windows_over(depth_axis(), slab - plane * params.depth);
        let hs = windows_over(height_axis(), line - slab * params.height);
        let ws = windows_over(width_axis(), i - line * params.width);
        var sum = 0.0;
        for (var d = ds.begin; d < ds.end; d += 1u) {
            let slices = counted(depth_axis(), d);
            for (var h = hs.begin; h < hs.end; h += 1u) {
                let rows = slices * counted(height_axis(), h);
                let base = params.y_base + ((plane * params.out_depth + d) * params.out_height + h) * params.out_width;
                for (var w = ws.begin; w < ws.end; w += 1u) {
                    sum += derivative(base + w, params.x_base + i, rows * counted(width_axis(), w));
                }
            }
        }
        dx[params.x_base + i] = sum;
    }
}
