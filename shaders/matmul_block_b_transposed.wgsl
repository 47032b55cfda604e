// Provider of block_b for matmul_registers: b is n x k. Column i of the block is row k0 + i of B from n0 on, 0 past k.

fn line_b(column: u32, k0: u32) -> vec4<f32> {
    return along_k(quad_b(params.first_b + min(column, params.n - 1u) * params.row_b + k0), k0);
}

fn block_b(k0: u32, n0: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(line_b(n0, k0), line_b(n0 + 1u, k0), line_b(n0 + 2u, k0), line_b(n0 + 3u, k0)));
}
