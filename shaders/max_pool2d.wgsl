// y[o] = max of x over window o; padding counts as -inf, the first of equals wins, the last NaN wins over all.
//
// Layout: x [planes, height, width], y and index [planes, out_height, out_width], counted from x_base, y_base and index_base.
// The index of an element is index_corner * (its window's first place in the plane) + index_pitch * row + column in the window.
// Reference: src/ops/pool.rs. One invocation makes 4 outputs that follow each other, one workgroup 4 * workgroup_size.
// Overrides: workgroup_size.
// Providers: store_indices (max_pool2d_values, max_pool2d_window or max_pool2d_plane), max_pool2d_place, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
    index_base: u32,
    index_corner: u32,
    index_pitch: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_height: u32,
    stride_width: u32,
    pad_height: u32,
    pad_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = 4u * (workgroup_index(group) * workgroup_size + local);
    if (first < params.count) {
        let outputs = min(4u, params.count - first);
        var at = place(first);
        var indices = vec4<u32>();
        for (var k = 0u; k < outputs; k += 1u) {
            // The window in padded coordinates, then clipped to the image.
            let top = at.row * params.stride_height;
            let left = at.column * params.stride_width;
            let h_begin = max(top, params.pad_height) - params.pad_height;
            let w_begin = max(left, params.pad_width) - params.pad_width;
            let h_end = min(top + params.kernel_height - params.pad_height, params.height);
            let w_end = min(left + params.kernel_width - params.pad_width, params.width);
            let base = params.x_base + at.plane * params.height * params.width;
            // Row and column of the window's first place; they wrap where it lies in the padding.
            let h_first = top - params.pad_height;
            let w_first = left - params.pad_width;
            let corner = params.index_corner * (h_first * params.width + w_first);
            var best = 0.0;
            var index = 0u;
            var found = false;
            for (var h = h_begin; h < h_end; h += 1u) {
                for (var w = w_begin; w < w_end; w += 1u) {
                    let value = x[base + h * params.width + w];
                    if (!found || is_nan(value) || (value > best && !is_nan(best))) {
                        best = value;
                        index = corner + params.index_pitch * (h - h_first) + w - w_first;
                        found = true;
                    }
                }
            }
            y[params.y_base + first + k] = best;
            indices[k] = index;
            at = next(at);
        }
        store_indices(params.index_base + first, outputs, indices);
    }
}
