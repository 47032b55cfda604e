// Provider of store_indices: words. The body gives their number as INDEX.

@group(0) @binding(INDEX) var<storage, read_write> index: array<u32>;
@group(0) @binding(INDEX + 1u) var<uniform> params: Params;

fn store_indices(o: u32, outputs: u32, indices: vec4<u32>) {
    index[o] = indices.x;
    if outputs > 1u {
        index[o + 1u] = indices.y;
    }
    if outputs > 2u {
        index[o + 2u] = indices.z;
    }
    if outputs > 3u {
        index[o + 3u] = indices.w;
    }
}
