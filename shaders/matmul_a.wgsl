// Provider of a_at: a is m x k.

const ROWS_FIRST: bool = false;

fn a_at(row: vec4<u32>, k: u32) -> vec4<u32> {
    return params.first_a + row * params.row_a + k;
}
