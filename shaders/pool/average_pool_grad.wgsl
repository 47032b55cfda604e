// dx[i] = sum of the derivative of window o by element i, times dy[o], over the windows o that
// cover element i.
//
// Layout: x and dx [planes, depth, height, width], y and dy [planes, out_depth, out_height,
// out_width], counted from x_base and y_base. Reference: src/ops/pool/average.rs. One invocation
// makes one element of dx, one workgroup workgroup_size.
// Overrides: cut (1: dx[j] is the sum of a piece of these windows), workgroup_size.
// Providers: derivative and gradient (average_mean_grad or average_lp_grad) with its average_mean
// or average_lp, windows_over, counting, counted_by and counting_on (pool_windows), pool_params,
// pool_pieces, lib/pieces, lib/grid, lib/divide; for average_lp lib/float.

override cut: u32 = 0u;
override workgroup_size: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.count {
        let piece = piece_of(j);
        let i = piece.output;
        let line = quotient(i, params.width);
        let slab = quotient(line, params.height);
        let plane = quotient(slab, params.depth);
        let ds = within(
            windows_over(depth_axis(), slab - plane * params.depth), 1u, piece.along.y, params.taps1
        );
        let hs = within(
            windows_over(height_axis(), line - slab * params.height),
            1u,
            piece.along.z,
            params.taps2,
        );
        let ws = within(
            windows_over(width_axis(), i - line * params.width), 1u, piece.along.w, params.taps3
        );
        var d_counting = counting(depth_axis(), ds.begin);
        let first_h = counting(height_axis(), hs.begin);
        let first_w = counting(width_axis(), ws.begin);
        var sum = 0.0;
        for (var d = ds.begin; d < ds.end; d += 1u) {
            let slices = counted_by(depth_axis(), d_counting, d);
            d_counting = counting_on(depth_axis(), d_counting);
            var h_counting = first_h;
            for (var h = hs.begin; h < hs.end; h += 1u) {
                let rows = slices * counted_by(height_axis(), h_counting, h);
                h_counting = counting_on(height_axis(), h_counting);
                let base = params.y_base
                    + ((plane * params.out_depth + d) * params.out_height + h) * params.out_width;
                var w_counting = first_w;
                for (var w = ws.begin; w < ws.end; w += 1u) {
                    let count = rows * counted_by(width_axis(), w_counting, w);
                    w_counting = counting_on(width_axis(), w_counting);
                    sum += derivative(base + w, params.x_base + i, count);
                }
            }
        }
        dx[select(params.x_base + i, j, cut == 1u)] = gradient(sum);
    }
}
