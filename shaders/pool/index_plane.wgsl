// Provider of index_at and index_quad: words.

fn index_at(o: u32) -> u32 {
    return index[o];
}

fn index_quad(o: u32) -> vec4<u32> {
    return vec4<u32>(index[o], index[o + 1u], index[o + 2u], index[o + 3u]);
}
