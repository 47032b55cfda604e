// y[o] = average(sum of term(x) over window o).
//
// Layout: x [planes, depth, height, width], y [planes, out_depth, out_height, out_width], counted
// from x_base and y_base.
// Reference: src/ops/pool/average.rs. One invocation makes one output, one workgroup
// workgroup_size.
// Overrides: cut (1: y[j] is the sum of a piece of a window), workgroup_size.
// Providers: term and average (average_mean or average_lp), elements and counted (pool_windows),
// pool_params, pool_place, pool_pieces, lib/pieces, lib/grid, lib/divide; for average_lp lib/float.

override cut: u32 = 0u;
override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.count {
        let piece = piece_of(j);
        let o = piece.output;
        let at = place(o);
        let plane = quotient(at.slab, params.out_depth);
        let slice = at.slab - plane * params.out_depth;
        let ds = within(elements(depth_axis(), slice), 1u, piece.along.y, params.taps1);
        let hs = within(elements(height_axis(), at.row), 1u, piece.along.z, params.taps2);
        let ws = within(elements(width_axis(), at.column), 1u, piece.along.w, params.taps3);
        var sum = 0.0;
        for (var d = ds.begin; d < ds.end; d += 1u) {
            for (var h = hs.begin; h < hs.end; h += 1u) {
                let line =
                    params.x_base + ((plane * params.depth + d) * params.height + h) * params.width;
                for (var w = ws.begin; w < ws.end; w += 1u) {
                    sum += term(x[line + w]);
                }
            }
        }
        let count = counted(depth_axis(), slice)
            * counted(height_axis(), at.row)
            * counted(width_axis(), at.column);
        if cut == 1u {
            y[j] = sum;
        } else {
            y[params.y_base + o] = average(sum, count);
        }
    }
}
