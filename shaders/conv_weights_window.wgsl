// Provider of weights for conv_registers: 64 KiB of them at a time, from a uniform buffer, on adapters whose uniforms reach that far.

@group(0) @binding(1) var<uniform> packed: array<vec4<f32>, 4096>;

fn weights(at: u32) -> vec4<f32> {
    return packed[at];
}
