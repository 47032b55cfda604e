// Provider of four_dy for conv_grad_weight_registers: dy in storage, read as the vec4s in which it
// lies.
// Providers: shifted. Overrides: aligned (1 if the rows of dy are multiples of 4 long).

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;

override aligned: u32 = 0u;

// Four columns of a row of dy from element `at` on, the row's column `col`; 0 past the row's end.
fn four_dy(at: u32, col: u32) -> vec4<f32> {
    let a = dy[at / 4u];
    if aligned != 0u {
        return a;
    }
    let value = shifted(a, dy[min(at / 4u + 1u, params.last_dy)], at);
    return select(
        vec4<f32>(), value, vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.cols)
    );
}
