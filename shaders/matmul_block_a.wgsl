// Provider of block_a for matmul_registers: a is m x k. Column i of the block is row m0 + i of A from k0 on, 0 past k.

fn line_a(row: u32, k0: u32) -> vec4<f32> {
    return along_k(quad_a(params.first_a + min(row, params.m - 1u) * params.row_a + k0), k0);
}

fn block_a(m0: u32, k0: u32) -> mat4x4<f32> {
    return mat4x4<f32>(line_a(m0, k0), line_a(m0 + 1u, k0), line_a(m0 + 2u, k0), line_a(m0 + 3u, k0));
}
