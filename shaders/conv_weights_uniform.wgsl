// Provider of weights for conv_registers: at most 16 KiB of them, from a uniform buffer, which CPU adapters read once for eight lanes.

@group(0) @binding(1) var<uniform> packed: array<vec4<f32>, 1024>;

fn weights(at: u32) -> vec4<f32> {
    return packed[at];
}
