// Provider of store_indices: bytes, four to a word. Outputs come in fours, from a word's first byte
// on. The body gives their number as INDEX.

@group(0) @binding(INDEX) var<storage, read_write> index: array<u32>;
@group(0) @binding(INDEX + 1u) var<uniform> params: Params;

fn store_indices(o: u32, outputs: u32, indices: vec4<u32>) {
    index[o / 4u] = indices.x | (indices.y << 8u) | (indices.z << 16u) | (indices.w << 24u);
}
