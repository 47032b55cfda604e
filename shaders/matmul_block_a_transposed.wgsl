// Provider of block_a for matmul_registers: a is k x m. Column i of the block is row m0 + i of A from k0 on, 0 past k.

fn line_a(m0: u32, k: u32) -> vec4<f32> {
    return select(vec4<f32>(), quad_a(params.first_a + min(k, params.k - 1u) * params.row_a + m0), k < params.k);
}

fn block_a(m0: u32, k0: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(line_a(m0, k0), line_a(m0, k0 + 1u), line_a(m0, k0 + 2u), line_a(m0, k0 + 3u)));
}
