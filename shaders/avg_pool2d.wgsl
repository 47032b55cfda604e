// y[o] = sum of x over window o / number of its elements, the padding counted if include_pad is 1.
//
// Layout: x [planes, height, width], y [planes, out_height, out_width], counted from x_base and y_base.
// Reference: src/ops/pool.rs. One invocation makes one output, one workgroup workgroup_size.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
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
    include_pad: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let row = i / params.out_width;
        let plane = row / params.out_height;
        // The window in padded coordinates, then clipped to the image.
        let top = (row - plane * params.out_height) * params.stride_height;
        let left = (i - row * params.out_width) * params.stride_width;
        let h_begin = max(top, params.pad_height) - params.pad_height;
        let w_begin = max(left, params.pad_width) - params.pad_width;
        let h_end = min(top + params.kernel_height - params.pad_height, params.height);
        let w_end = min(left + params.kernel_width - params.pad_width, params.width);
        let base = params.x_base + plane * params.height * params.width;
        var sum = 0.0;
        for (var h = h_begin; h < h_end; h += 1u) {
            for (var w = w_begin; w < w_end; w += 1u) {
                sum += x[base + h * params.width + w];
            }
        }
        let inside = (h_end - h_begin) * (w_end - w_begin);
        let elements = select(inside, params.kernel_height * params.kernel_width, params.include_pad == 1u);
        y[params.y_base + i] = sum / f32(elements);
    }
}
