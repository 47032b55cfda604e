// Provider of rows_first, rows, columns, load_a, load_b and inside_b for gemm/cooperative: matrices
// read element by element.

fn rows_first() -> bool {
    return params.term_a > 1u;
}

// The elements at which four rows of A begin; of B, four columns.
fn rows(group: u32, first: u32) -> vec4<u32> {
    let row = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.m - 1u));
    return params.first_a + group * params.step_a + row * params.line_a;
}

fn columns(group: u32, first: u32) -> vec4<u32> {
    let column = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
    return params.first_b + group * params.step_b + column * params.line_b;
}

fn load_a(row: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = row + k * params.term_a;
    return vec4<f32>(
        first_element(at.x), first_element(at.y), first_element(at.z), first_element(at.w)
    );
}

fn load_b(column: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = column + k * params.term_b;
    return vec4<f32>(
        second_element(at.x), second_element(at.y), second_element(at.z), second_element(at.w)
    );
}

fn inside_b(column: vec4<u32>, k: u32) -> vec4<bool> {
    return vec4<bool>(true);
}
