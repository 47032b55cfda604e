// Provider for gemm_*: matrix products, one per group.
//
// The product may be a block of a larger one: a, b and y begin at element first_* of their
// bindings. From one row of A or column of B to the next it is line_* elements, from term to term
// term_*; y has rows of row_y. Groups are the matrices of a batch, step_* elements apart.

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
    step_a: u32,
    step_b: u32,
    step_y: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
}

fn rows_first() -> bool {
    return params.term_a > 1u;
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;

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
    return vec4<f32>(a[at.x], a[at.y], a[at.z], a[at.w]);
}

fn load_b(column: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = column + k * params.term_b;
    return vec4<f32>(b[at.x], b[at.y], b[at.z], b[at.w]);
}

const PADDED: bool = false;

fn inside_b(column: vec4<u32>, k: u32) -> vec4<bool> {
    return vec4<bool>(true);
}

fn store_one(group: u32, split: u32, row: u32, column: u32, value: f32) {
    let at =
        split * params.part + params.first_y + group * params.step_y + row * params.row_y + column;
    y[at] = finish(value, params.first_column + column, at);
}
