// y[o] = max of x over window o: windows of 2 x 2 side by side, an even width, no padding; else as
// pool/max_pool.wgsl.
//
// Layout: y [planes, out_height, out_width] four at a time; y_base and index_base are multiples of
// 4.
// Reference: src/ops/pool/max.rs.
// One invocation makes 4 outputs that follow each other, over row ends too; one workgroup 4 *
// workgroup_size.
// Overrides: workgroup_size. Providers: windows (max_pool2d_pairs or max_pool2d_quads),
// store_indices (max_pool_values, max_pool_window or max_pool_plane), pool_params, pool_place,
// lib/grid, lib/divide, lib/float.

override workgroup_size: u32 = 64u;

const INDEX: u32 = 2u;

@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

// The four elements of four windows.
struct Windows {
    upper_left: vec4<f32>,
    upper_right: vec4<f32>,
    lower_left: vec4<f32>,
    lower_right: vec4<f32>,
}

fn wins(value: vec4<f32>, best: vec4<f32>) -> vec4<bool> {
    return is_nan4(value) | ((value > best) & !is_nan4(best));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = 4u * (workgroup_index(group) * workgroup_size + local);
    if first < params.count {
        let outputs = min(4u, params.count - first);
        // Where an output does not exist, the one before it is made again.
        var p: array<Place, 4>;
        p[0] = place(first);
        p[1] = p[0];
        if outputs > 1u {
            p[1] = next(p[0]);
        }
        p[2] = p[1];
        if outputs > 2u {
            p[2] = next(p[1]);
        }
        p[3] = p[2];
        if outputs > 3u {
            p[3] = next(p[2]);
        }
        let x = windows(p[0], p[1], p[2], p[3]);
        let rows = vec4<u32>(p[0].row, p[1].row, p[2].row, p[3].row);
        let columns = vec4<u32>(p[0].column, p[1].column, p[2].column, p[3].column);
        let corner = (1u - params.relative) * 2u * (rows * params.width + columns);
        var best = x.upper_left;
        var index = corner;
        var take = wins(x.upper_right, best);
        best = select(best, x.upper_right, take);
        index = select(index, corner + 1u, take);
        take = wins(x.lower_left, best);
        best = select(best, x.lower_left, take);
        index = select(index, corner + params.pitch_height, take);
        take = wins(x.lower_right, best);
        best = select(best, x.lower_right, take);
        index = select(index, corner + params.pitch_height + 1u, take);
        y[(params.y_base + first) / 4u] = best;
        store_indices(params.index_base + first, outputs, index);
    }
}
