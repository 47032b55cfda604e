// Provider of four_dy for conv_grad_weight_registers: dy through a window of a uniform binding,
// read one by one, as CPU adapters do anyway.

@group(0) @binding(1) var<uniform> dy: array<vec4<f32>, 4096>;

fn dy_at(at: u32, col: u32) -> f32 {
    let i = min(at, params.last_dy);
    return select(0.0, dy[i / 4u][i % 4u], col < params.cols);
}

// Four columns of a row of dy from element `at` on, the row's column `col`; 0 past the row's end.
fn four_dy(at: u32, col: u32) -> vec4<f32> {
    return vec4<f32>(
        dy_at(at, col), dy_at(at + 1u, col + 1u), dy_at(at + 2u, col + 2u), dy_at(at + 3u, col + 3u)
    );
}
