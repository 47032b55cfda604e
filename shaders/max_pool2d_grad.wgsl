// dx[i] = sum of dy[o] over the windows o that cover element i and whose index names it.
//
// Layout: dx [planes, height, width], dy and index [planes, out_height, out_width], counted from x_base, y_base and index_base.
// Indices are those of max_pool2d.wgsl. Reference: src/ops/pool.rs.
// One invocation makes one element of dx, one workgroup workgroup_size.
// Overrides: workgroup_size. Providers: index_at (index_window or index_plane), lib/grid.

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

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// The first window that does not end before `place`.
fn after(place: u32, kernel: u32, stride: u32) -> u32 {
    return select((place - kernel) / stride + 1u, 0u, place < kernel);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let row = i / params.width;
        let plane = row / params.height;
        // Windows are counted in padded coordinates: window o covers o * stride .. o * stride + kernel.
        let h = row - plane * params.height + params.pad_height;
        let w = i - row * params.width + params.pad_width;
        let h_begin = after(h, params.kernel_height, params.stride_height);
        let w_begin = after(w, params.kernel_width, params.stride_width);
        let h_end = min(h / params.stride_height + 1u, params.out_height);
        let w_end = min(w / params.stride_width + 1u, params.out_width);
        let base = plane * params.out_height * params.out_width;
        // The element's own index in the first of these windows, and how much smaller it is in the next row or column of them.
        let top = h_begin * params.stride_height;
        let left = w_begin * params.stride_width;
        let corner = (top - params.pad_height) * params.width + left - params.pad_width;
        let row_step = params.stride_height * (params.index_pitch - params.index_corner * params.width);
        let column_step = params.stride_width * (1u - params.index_corner);
        var row_index = params.index_corner * corner + params.index_pitch * (h - top) + w - left;
        var sum = 0.0;
        for (var out_h = h_begin; out_h < h_end; out_h += 1u) {
            var own = row_index;
            for (var out_w = w_begin; out_w < w_end; out_w += 1u) {
                let o = base + out_h * params.out_width + out_w;
                if (index_at(params.index_base + o) == own) {
                    sum += dy[params.y_base + o];
                }
                own -= column_step;
            }
            row_index -= row_step;
        }
        dx[params.x_base + i] = sum;
    }
}
