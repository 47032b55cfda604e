// y = A B by tiles in registers. A is m x k, B is k x n, y is m x n.
//
// Layout: a and b as the providers map them, read as vec4s; y row by row. All of it may be a block of a larger product: a, b and y begin at
// element first_* of their bindings and have rows of row_* elements. Reference: src/ops/matmul.rs.
// One invocation makes 4 * high rows of 4 * wide columns of y, four terms at a time. One workgroup makes workgroup_size such tiles, side by side.
// Overrides: high (1, 2 or 4), wide (1 or 2), aligned (1 where first_* and row_* of a and b are multiples of 4, so that every vec4 begins
// at one), workgroup_size.
// Providers: first_quad (first_*) for a, second_quad (second_*) for b, block_a (matmul_block_a*), block_b (matmul_block_b*), end_*, y and finish (y_elements), lib/grid, lib/divide.

struct Params {
    grid: Grid,
    tiles: u32,
    tiles_n: u32,
    m: u32,
    n: u32,
    k: u32,
    last_a: u32, // vec4 of a
    last_b: u32,
    stores: u32, // high * wide
    four: u32, // 4: a bound that no compiler unrolls
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
override workgroup_size: u32 = 16u;

// The four elements from place `at` mod 4 on of eight.
fn shifted(v: vec4<f32>, w: vec4<f32>, at: u32) -> vec4<f32> {
    let odd = (at & 1u) != 0u;
    let x = select(v, vec4<f32>(v.yzw, w.x), odd);
    let y = select(w.xy, w.yz, odd);
    return select(x, vec4<f32>(x.zw, y), (at & 2u) != 0u);
}

// Four elements of a from any place; what lies past the end is arbitrary.
fn quad_a(at: u32) -> vec4<f32> {
    let v = first_quad(min(at / 4u, params.last_a));
    if aligned != 0u {
        return v;
    }
    return shifted(v, first_quad(min(at / 4u + 1u, params.last_a)), at);
}

fn quad_b(at: u32) -> vec4<f32> {
    let v = second_quad(min(at / 4u, params.last_b));
    if aligned != 0u {
        return v;
    }
    return shifted(v, second_quad(min(at / 4u + 1u, params.last_b)), at);
}

// Four values along k, those past its end replaced by 0.
fn along_k(v: vec4<f32>, k: u32) -> vec4<f32> {
    return select(vec4<f32>(), v, vec4<u32>(k) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.k));
}

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
