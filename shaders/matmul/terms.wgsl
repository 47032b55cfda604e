// y = A B by tiles in registers, term by term, for CPU adapters. A is m x k, B is k x n, y is m x
// n.
//
// Layout: element (line, term) of A, a row, is line_a * line + term_a * term after element first_a
// of its binding, and so for the columns of B; y row by row, its block beginning at element
// first_y, with rows of row_y elements. Elements are read one by one: CPU adapters load a vec4 as
// four elements anyway, and so one kernel serves matrices however they are stored. Reference:
// src/ops/matmul/mod.rs.
// One invocation makes 4 * high rows of 8 columns of y, one term at a time. One workgroup makes
// workgroup_size such tiles, side by side.
// Overrides: high (1, 2 or 4), workgroup_size.
// Providers: first_element (first_elements or first_window) for a, second_element (second_elements
// or second_window) for b, first_sums and finish_unit (end_flags), y (y_elements, or y_pairs where
// n, first_y, row_y and first_column are even), lib/grid, lib/divide, lib/float.

struct Params {
    grid: Grid,
    tiles: u32,
    tiles_n: u32,
    m: u32,
    n: u32,
    k: u32,
    stores: u32, // 2 * high
    four: u32, // 4: a bound that no compiler unrolls
    last_a: u32, // element of a
    last_b: u32,
    first_a: u32,
    line_a: u32,
    term_a: u32,
    first_b: u32,
    line_b: u32,
    term_b: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
    end: u32, // bits of end_flags
}

override high: u32 = 4u;
override workgroup_size: u32 = 8u;

// Lines past the last are not stored; they read some element of the binding.
fn a_at(at: u32) -> f32 {
    return first_element(min(at, params.last_a));
}

fn b_at(at: u32) -> f32 {
    return second_element(min(at, params.last_b));
}

// One term of four lines of A, the first of them element `at`.
fn four_a(at: u32) -> vec4<f32> {
    let step = params.line_a;
    return vec4<f32>(a_at(at), a_at(at + step), a_at(at + 2u * step), a_at(at + 3u * step));
}

fn four_b(at: u32) -> vec4<f32> {
    let step = params.line_b;
    return vec4<f32>(b_at(at), b_at(at + step), b_at(at + 2u * step), b_at(at + 3u * step));
}

// Column i: row i of the product of one term of four rows and four columns.
fn products(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(b * a.x, b * a.y, b * a.z, b * a.w);
}

// Stores the part of a block of four rows and four columns that lies in y.
fn store(value: mat4x4<f32>, row: u32, column: u32) {
    var rest = value;
    for (var i = 0u; i < params.four; i++) {
        var line = rest[0];
        for (var j = 0u; j < params.four; j += UNIT) {
            if row + i < params.m && column + j < params.n {
                let unit = (params.first_y + (row + i) * params.row_y + column + j) / UNIT;
                y[unit] = finish_unit(first_unit(line), unit);
            }
            line = after_unit(line);
        }
        rest = mat4x4<f32>(rest[1], rest[2], rest[3], rest[0]);
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.tiles {
        return;
    }
    let tile_m = quotient(index, params.tiles_n);
    let row = tile_m * 4u * high;
    let column = (index - tile_m * params.tiles_n) * 8u;
    var at_a = params.first_a + row * params.line_a;
    var at_b = params.first_b + column * params.line_b;
    let bias = params.first_column + column;
    let last_bias = (params.first_column + params.n - UNIT) / UNIT;
    let s0 = first_sums(bias, last_bias);
    let s1 = first_sums(bias + 4u, last_bias);
    // cij: the block of four rows i and four columns j.
    var c00 = mat4x4<f32>(s0, s0, s0, s0);
    var c01 = mat4x4<f32>(s1, s1, s1, s1);
    var c10 = c00;
    var c11 = c01;
    var c20 = c00;
    var c21 = c01;
    var c30 = c00;
    var c31 = c01;
    for (var k = 0u; k < params.k; k++) {
        let b0 = four_b(at_b);
        let b1 = four_b(at_b + 4u * params.line_b);
        let a0 = four_a(at_a);
        c00 += products(a0, b0);
        c01 += products(a0, b1);
        if high > 1u {
            let a1 = four_a(at_a + 4u * params.line_a);
            c10 += products(a1, b0);
            c11 += products(a1, b1);
        }
        if high > 2u {
            let a2 = four_a(at_a + 8u * params.line_a);
            c20 += products(a2, b0);
            c21 += products(a2, b1);
            let a3 = four_a(at_a + 12u * params.line_a);
            c30 += products(a3, b0);
            c31 += products(a3, b1);
        }
        at_a += params.term_a;
        at_b += params.term_b;
    }
    // The blocks move up through c00, so that there is one store to compile.
    for (var block = 0u; block < params.stores; block++) {
        store(c00, row + 4u * (block / 2u), column + 4u * (block % 2u));
        c00 = c01;
        c01 = c10;
        c10 = c11;
        c11 = c20;
        c20 = c21;
        c21 = c30;
        c30 = c31;
    }
}
