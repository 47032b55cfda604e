// Provider of b_at: b is k x n.

fn b_at(column: vec4<u32>, k: u32) -> vec4<u32> {
    return params.first_b + k * params.row_b + column;
}
