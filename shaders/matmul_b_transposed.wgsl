// Provider of b_at: b is n x k.

fn b_at(column: vec4<u32>, k: u32) -> vec4<u32> {
    return params.first_b + column * params.row_b + k;
}
