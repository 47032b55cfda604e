// y[o] = max of x over window o; padding counts as -inf, the first of equals wins, the last NaN
// wins over all.
//
// Layout: x [planes, depth, height, width], y and index [planes, out_depth, out_height, out_width],
// counted from x_base, y_base and index_base. A window that holds nothing but padding gives -inf
// and an index that no element has.
// Reference: src/ops/pool/max.rs. One invocation makes 4 outputs that follow each other, one
// workgroup 4 * workgroup_size;
// with cut one of each.
// Overrides: cut (1: y[j] is the maximum of a piece of a window, whose index is 0xffffffff if it
// has no elements), workgroup_size.
// Providers: store_indices (max_pool_values, max_pool_window or max_pool_plane), units_of and
// elements_by (pool_windows), pool_params, pool_place, pool_pieces, lib/pieces, lib/grid,
// lib/divide, lib/float.

override cut: u32 = 0u;
override workgroup_size: u32 = 64u;

const INDEX: u32 = 2u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let each = select(4u, 1u, cut == 1u);
    let first = each * (workgroup_index(group) * workgroup_size + local);
    if first < params.count {
        let outputs = min(each, params.count - first);
        let piece = piece_of(first);
        var at = place(piece.output);
        var plane = quotient(at.slab, params.out_depth);
        var slice = at.slab - plane * params.out_depth;
        let d_units = units_of(depth_axis());
        let h_units = units_of(height_axis());
        let w_units = units_of(width_axis());
        var indices = vec4<u32>();
        for (var k = 0u; k < outputs; k += 1u) {
            let window = vec3<u32>(slice, at.row, at.column);
            let ds = within(
                elements_by(depth_axis(), d_units, window.x),
                params.step_depth,
                piece.along.y,
                params.taps1,
            );
            let hs = within(
                elements_by(height_axis(), h_units, window.y),
                params.step_height,
                piece.along.z,
                params.taps2,
            );
            let ws = within(
                elements_by(width_axis(), w_units, window.z),
                params.step_width,
                piece.along.w,
                params.taps3,
            );
            // What its elements' indices count from.
            let zero = params.relative * index_of(
                origin(depth_axis(), window.x),
                origin(height_axis(), window.y),
                origin(width_axis(), window.z),
            );
            var best = params.lowest;
            // 0xffffffff if it counts in the plane; counted in the window, 0 is such a window's
            // place in the padding.
            var index = select(params.relative - 1u, 0xffffffffu, cut == 1u);
            var found = false;
            for (var d = ds.begin; d < ds.end; d += params.step_depth) {
                for (var h = hs.begin; h < hs.end; h += params.step_height) {
                    let line = params.x_base
                        + ((plane * params.depth + d) * params.height + h) * params.width;
                    for (var w = ws.begin; w < ws.end; w += params.step_width) {
                        let value = x[line + w];
                        if !found || is_nan(value) || (value > best && !is_nan(best)) {
                            best = value;
                            index = index_of(d, h, w) - zero;
                            found = true;
                        }
                    }
                }
            }
            y[params.y_base + first + k] = best;
            indices[k] = index;
            let after = next(at);
            slice += after.slab - at.slab;
            if slice == params.out_depth {
                slice = 0u;
                plane += 1u;
            }
            at = after;
        }
        store_indices(params.index_base + first, outputs, indices);
    }
}

fn index_of(d: u32, h: u32, w: u32) -> u32 {
    return params.pitch_depth * d + params.pitch_height * h + w;
}
