// Provider of index_at and index_quad: bytes, four to a word.

fn index_at(o: u32) -> u32 {
    return (index[o / 4u] >> (8u * (o % 4u))) & 0xffu;
}

fn index_quad(o: u32) -> vec4<u32> {
    return (vec4<u32>(index[o / 4u]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
}
