// Provider of weights for conv_registers: any number, from a storage buffer.

@group(0) @binding(1) var<storage, read> packed: array<vec4<f32>>;

fn weights(at: u32) -> vec4<f32> {
    return packed[at];
}
