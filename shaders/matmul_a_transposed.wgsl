// Provider of a_at: a is k x m.

const ROWS_FIRST: bool = true;

fn a_at(row: vec4<u32>, k: u32) -> vec4<u32> {
    return params.first_a + k * params.row_a + row;
}
