// Provider for gemm_shared: a matrix product.
//
// The product may be a block of a larger one: a, b and y begin at element first_* of their bindings. From one row of A or column of B to the
// next it is line_* elements, from term to term term_*; y has rows of row_y.

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
    first_a: u32,
    line_a: u32,
    term_a: u32,
    first_b: u32,
    line_b: u32,
    term_b: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
}

fn rows_first() -> bool {
    return params.term_a > 1u;
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;

fn rows(group: u32, first: u32) -> vec4<u32> {
    return min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.m - 1u));
}

fn columns(group: u32, first: u32) -> vec4<u32> {
    return min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
}

fn load_a(row: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = params.first_a + row * params.line_a + k * params.term_a;
    return vec4<f32>(a[at.x], a[at.y], a[at.z], a[at.w]);
}

fn load_b(column: vec4<u32>, k: u32, end: u32) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    let at = params.first_b + column * params.line_b + k * params.term_b;
    return vec4<f32>(b[at.x], b[at.y], b[at.z], b[at.w]);
}

const PADDED: bool = false;

fn inside_b(column: vec4<u32>, k: u32) -> vec4<bool> {
    return vec4<bool>(true);
}

fn store_one(group: u32, split: u32, row: u32, column: u32, value: f32) {
    let at = split * params.part + params.first_y + row * params.row_y + column;
    y[at] = finish(value, params.first_column + column, at);
}
