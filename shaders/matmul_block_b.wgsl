// Provider of block_b for matmul_registers: b is k x n. Column i of the block is row k0 + i of B from n0 on, 0 past k.

fn line_b(k: u32, n0: u32) -> vec4<f32> {
    return select(vec4<f32>(), quad_b(params.first_b + min(k, params.k - 1u) * params.row_b + n0), k < params.k);
}

fn block_b(k0: u32, n0: u32) -> mat4x4<f32> {
    return mat4x4<f32>(line_b(k0, n0), line_b(k0 + 1u, n0), line_b(k0 + 2u, n0), line_b(k0 + 3u, n0));
}
