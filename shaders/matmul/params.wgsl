// Provider of Params, y_column, y_step, third_index, PADDED and mended_block for gemm_*: matrix
// products, one per group.
//
// The product may be a block of a larger one: a, b and y begin at element first_* of their
// bindings. From one row of A or column of B to the next it is line_* elements, from term to term
// term_*; one of the two is 1. y has rows of row_y. Groups are the matrices of a batch, step_*
// elements apart.

struct Params {
    grid: Grid,
    m: u32,
    n: u32,
    k: u32,
    tiles_m: u32,
    tiles_n: u32,
    splits: u32,
    depth: u32,
    part: u32,
    first_split: u32,
    mends: u32,
    first_a: u32,
    line_a: u32,
    term_a: u32,
    first_b: u32,
    line_b: u32,
    term_b: u32,
    last_a: u32, // vec4 of a
    last_b: u32,
    step_a: u32,
    step_b: u32,
    step_y: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
}

const PADDED: bool = false;

fn mended_block(group: u32, row: u32, column: u32, start: u32, end: u32) -> mat4x4<f32> {
    return mat4x4<f32>();
}

// The element of y in row 0, and those from row to row.
fn y_column(group: u32, split: u32, column: u32) -> u32 {
    return split * params.part + params.first_y + group * params.step_y + column;
}

fn y_step() -> u32 {
    return params.row_y;
}

// Which bias an element gets.
fn third_index(group: u32, row: u32, column: u32) -> u32 {
    return params.first_column + column;
}
