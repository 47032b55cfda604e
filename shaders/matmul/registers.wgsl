// y = A B by tiles in registers. A is m x k, B is k x n, y is m x n.
//
// Layout: a and b row by row, stored as m x k and k x n or transposed, read as vec4s; y row by row.
// All of it may be a block of a larger product: a, b and y begin at element first_* of their
// bindings and have rows of row_* elements. Reference: src/ops/matmul/mod.rs.
// One invocation makes 4 * high rows of 4 * wide columns of y, four terms at a time. One workgroup
// makes workgroup_size such tiles, side by side.
// Overrides: high (1, 2 or 4), wide (1 or 2), aligned (1 where first_* and row_* of a and b are
// multiples of 4, so that every vec4 begins at one), transpose_a, transpose_b (1 where the matrix
// is stored transposed), workgroup_size.
// Providers: first_quad (first_quads) for a, second_quad (second_quads) for b, shifted, end, y and
// finish (y_elements), lib/grid, lib/divide.

struct Params {
    grid: Grid,
    tiles: u32,
    tiles_n: u32,
    m: u32,
    n: u32,
    k: u32,
    stores: u32, // high * wide
    four: u32, // 4: a bound that no compiler unrolls
    last_a: u32, // vec4 of a
    last_b: u32,
    first_a: u32,
    row_a: u32,
    first_b: u32,
    row_b: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
}

override high: u32 = 4u;
override wide: u32 = 2u;
override aligned: u32 = 0u;
override transpose_a: u32 = 0u;
override transpose_b: u32 = 0u;
override workgroup_size: u32 = 16u;

// A matrix as stored.
struct Matrix {
    is_b: bool,
    first: u32, // element before which others lie
    row: u32, // elements from row to row
    last: u32, // vec4
}

fn quad(matrix: Matrix, index: u32) -> vec4<f32> {
    if matrix.is_b {
        return second_quad(min(index, matrix.last));
    }
    return first_quad(min(index, matrix.last));
}

// Four elements of a row from any column on; what lies past the end is arbitrary.
fn four(matrix: Matrix, row: u32, column: u32) -> vec4<f32> {
    let at = matrix.first + row * matrix.row + column;
    let v = quad(matrix, at / 4u);
    if aligned != 0u {
        return v;
    }
    return shifted(v, quad(matrix, at / 4u + 1u), at);
}

// Four terms from k on of a line that is a stored row, 0 past the last term.
fn along(matrix: Matrix, line: u32, k: u32) -> vec4<f32> {
    let terms = vec4<u32>(k) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(), four(matrix, line, k), terms < vec4<u32>(params.k));
}

// Term k of four lines from `line` on that are stored columns, 0 past the last term.
fn across(matrix: Matrix, line: u32, k: u32) -> vec4<f32> {
    return select(vec4<f32>(), four(matrix, min(k, params.k - 1u), line), k < params.k);
}

// Terms from k on of four lines from `line` on, rows of A or columns of B: column i has the terms
// of line i if the lines are stored rows; else it has term k + i of all four.
fn lines_of(matrix: Matrix, line: u32, last_line: u32, k: u32, along_rows: bool) -> mat4x4<f32> {
    if along_rows {
        return mat4x4<f32>(
            along(matrix, min(line, last_line), k),
            along(matrix, min(line + 1u, last_line), k),
            along(matrix, min(line + 2u, last_line), k),
            along(matrix, min(line + 3u, last_line), k));
    }
    return mat4x4<f32>(
        across(matrix, line, k),
        across(matrix, line, k + 1u),
        across(matrix, line, k + 2u),
        across(matrix, line, k + 3u),
    );
}

// Column i: row `row` + i of A from term k on.
fn block_a(row: u32, k: u32) -> mat4x4<f32> {
    let a = Matrix(false, params.first_a, params.row_a, params.last_a);
    let value = lines_of(a, row, params.m - 1u, k, transpose_a == 0u);
    if transpose_a == 1u {
        return transpose(value);
    }
    return value;
}

// Column i: term k + i of the columns of B from `column` on.
fn block_b(k: u32, column: u32) -> mat4x4<f32> {
    let b = Matrix(true, params.first_b, params.row_b, params.last_b);
    let value = lines_of(b, column, params.n - 1u, k, transpose_b == 1u);
    if transpose_b == 1u {
        return transpose(value);
    }
    return value;
}

// Stores the part of a block of four rows and four columns that lies in y, element by element.
fn store(value: mat4x4<f32>, row: u32, column: u32) {
    var rest = value;
    for (var i = 0u; i < params.four; i++) {
        var line = rest[0];
        for (var j = 0u; j < params.four; j++) {
            if row + i < params.m && column + j < params.n {
                let at = params.first_y + (row + i) * params.row_y + column + j;
                y[at] = finish(line.x, params.first_column + column + j, at);
            }
            line = line.yzwx;
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
    let column = (index - tile_m * params.tiles_n) * 4u * wide;
    // cij: the block of four rows i and four columns j.
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    var c20 = mat4x4<f32>();
    var c21 = mat4x4<f32>();
    var c30 = mat4x4<f32>();
    var c31 = mat4x4<f32>();
    for (var k = 0u; k < params.k; k += 4u) {
        let b0 = block_b(k, column);
        var b1 = mat4x4<f32>();
        if wide > 1u {
            b1 = block_b(k, column + 4u);
        }
        let a0 = block_a(row, k);
        c00 += b0 * a0;
        if wide > 1u {
            c01 += b1 * a0;
        }
        if high > 1u {
            let a1 = block_a(row + 4u, k);
            c10 += b0 * a1;
            if wide > 1u {
                c11 += b1 * a1;
            }
        }
        if high > 2u {
            let a2 = block_a(row + 8u, k);
            c20 += b0 * a2;
            if wide > 1u {
                c21 += b1 * a2;
            }
            let a3 = block_a(row + 12u, k);
            c30 += b0 * a3;
            if wide > 1u {
                c31 += b1 * a3;
            }
        }
    }
    // The blocks move up through c00, so that there is one store to compile.
    for (var block = 0u; block < params.stores; block++) {
        let down = block / wide;
        store(c00, row + 4u * down, column + 4u * (block - down * wide));
        if wide > 1u {
            c00 = c01;
            c01 = c10;
            c10 = c11;
            c11 = c20;
            c20 = c21;
            c21 = c30;
            c30 = c31;
        } else {
            c00 = c10;
            c10 = c20;
            c20 = c30;
        }
    }
}
