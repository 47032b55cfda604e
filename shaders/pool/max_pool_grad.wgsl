// dx[i] = sum of dy[o] over the windows o that reach over element i and whose index names it.
//
// Layout: dx [planes, depth, height, width], dy and index [planes, out_depth, out_height,
// out_width], counted from x_base, y_base and index_base. Indices are those of pool/max_pool.wgsl.
// Reference: src/ops/pool/max_grad.rs.
// One invocation makes one element of dx, one workgroup workgroup_size.
// Overrides: cut (1: dx[j] is the sum over a piece of these windows), workgroup_size.
// Providers: index_at (index_window or index_plane), windows_over (pool_windows),
// pool_params, pool_pieces, lib/pieces, lib/grid, lib/divide.

override cut: u32 = 0u;
override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// An element's index along an axis as the window counts it.
fn counted_from(axis: Axis, place: u32, window: u32) -> u32 {
    return place - params.relative * origin(axis, window);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.count {
        let piece = piece_of(j);
        let i = piece.output;
        let line = quotient(i, params.width);
        let slab = quotient(line, params.height);
        let plane = quotient(slab, params.depth);
        let d = slab - plane * params.depth;
        let h = line - slab * params.height;
        let w = i - line * params.width;
        let ds = within(windows_over(depth_axis(), d), 1u, piece.along.y, params.taps1);
        let hs = within(windows_over(height_axis(), h), 1u, piece.along.z, params.taps2);
        let ws = within(windows_over(width_axis(), w), 1u, piece.along.w, params.taps3);
        var sum = 0.0;
        for (var out_d = ds.begin; out_d < ds.end; out_d += 1u) {
            let own_d = params.pitch_depth * counted_from(depth_axis(), d, out_d);
            for (var out_h = hs.begin; out_h < hs.end; out_h += 1u) {
                let own_h = own_d + params.pitch_height * counted_from(height_axis(), h, out_h);
                let base = ((plane * params.out_depth + out_d) * params.out_height + out_h)
                    * params.out_width;
                for (var out_w = ws.begin; out_w < ws.end; out_w += 1u) {
                    if (
                        index_at(params.index_base + base + out_w) == own_h
                            + counted_from(width_axis(), w, out_w)
                    ) {
                        sum += dy[params.y_base + base + out_w];
                    }
                }
            }
        }
        dx[select(params.x_base + i, j, cut == 1u)] = sum;
    }
}
