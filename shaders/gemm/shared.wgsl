// y = A B by tiles in workgroup memory: matrix products and convolutions as implicit ones.
//
// Layout: as the providers map it. A is m x k, B is k x n, y is m x n, once per group; the k axis
// may be cut into `splits` runs of `depth` terms (a multiple of 8) whose sums are stored apart.
// Reference: src/ops/matmul/mod.rs, src/ops/conv/geometry.rs.
// One workgroup makes tile x tile elements of y, one invocation 4 * tall rows of 4 * wide columns,
// in registers. A and B pass through workgroup memory eight terms at a time. An invocation loads a
// vec4 of each, and does so for the next eight terms while it multiplies these.
//
// A vec4 has four lines (rows of A, columns of B) of one term, or four terms of one line, as they
// lie together in memory. Either way four slots, `STRIDE` apart, hold a block of four lines and
// four terms, as itself or transposed. Lines l to l + 3 and terms t to t + 3 lie so in a tile:
//
//                        slot l/4           of lines                    of terms
//     row t          | (l, t)   (l+1, t) ...     |     | (l, t)   (l, t+1) ...     |
//     row t+1        | (l, t+1) (l+1, t+1) ...   | or  | (l+1, t) (l+1, t+1) ...   |
//     row t+2, t+3   | ...                       |     | ...                       |
//
// Neighbouring invocations read neighbouring slots, or the same one. A row has one slot more than
// it needs: so the four slots of a block lie in different banks when neighbours store them.
// docs/kernels/matmul.md tells what compilers make of it.
// A sum that is NaN is made again without the terms whose B is padding: NaN or Inf times that zero
// is no part of it.
// Overrides: tile (128, 64 or 32), tall (2, or 1 where tile is 32), wide (2 where tile is 128, else
// 1), workgroup_size = tile * tile / (16 * tall * wide), those of the providers. From these follow
// STRIDE and slots, of a row of slots and of a tile.
// Providers: Params; A_ALONG and B_ALONG (whether vec4s are of terms); Cursor, prepare,
// open_cursor, next, fetch_a, fetch_b, keep_a and keep_b; y_column, y_step, third_index;
// mended_block and PADDED (whether B has padding); end; y and finish (y_elements); lib/grid,
// lib/float.

override tile: u32 = 128u;
override tall: u32 = 2u;
override wide: u32 = 2u;
override workgroup_size: u32 = 256u;
override STRIDE: u32 = tile / 4u + 1u;
override slots: u32 = STRIDE * DEPTH;

const DEPTH: u32 = 8u;

var<workgroup> tile_a: array<vec4<f32>, slots>;
var<workgroup> tile_b: array<vec4<f32>, slots>;

// Where a vec4 that begins at a line and a term is stored.
fn slot(line: u32, term: u32, along: bool) -> u32 {
    if along {
        return (term + line % 4u) * STRIDE + line / 4u;
    }
    return term * STRIDE + line / 4u;
}

// The block of slot `at` and the three below it.
fn block_a(at: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        tile_a[at], tile_a[at + STRIDE], tile_a[at + 2u * STRIDE], tile_a[at + 3u * STRIDE]
    );
}

// Term t of the four lines of a block.
fn term_of(block: mat4x4<f32>, t: u32, along: bool) -> vec4<f32> {
    if along {
        return vec4<f32>(block[0][t], block[1][t], block[2][t], block[3][t]);
    }
    return block[t];
}

// Sums of four rows of four columns, and one more term.
fn add(c: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(c[0] + a.x * b, c[1] + a.y * b, c[2] + a.z * b, c[3] + a.w * b);
}

// Sums of four rows in one column, and four more terms of them.
fn add_line(c: vec4<f32>, a: mat4x4<f32>, b: vec4<f32>) -> vec4<f32> {
    return c
        + term_of(a, 0u, A_ALONG) * b.x
        + term_of(a, 1u, A_ALONG) * b.y
        + term_of(a, 2u, A_ALONG) * b.z
        + term_of(a, 3u, A_ALONG) * b.w;
}

// Stores four columns of four rows of y, as far as they lie inside.
fn store(group: u32, split: u32, row: u32, column: u32, value: mat4x4<f32>) {
    var rest = value;
    for (var j = 0u; j < 4u; j++) {
        if column + j < params.n {
            let first = y_column(group, split, column + j);
            for (var i = 0u; i < 4u; i++) {
                if row + i < params.m {
                    let at = first + (row + i) * y_step();
                    y[at] = finish(rest[0][i], third_index(group, row + i, column + j), at);
                }
            }
        }
        rest = mat4x4<f32>(rest[1], rest[2], rest[3], rest[0]);
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let quads = tile / 4u;
    let index = workgroup_index(group_id);
    // Workgroups that only fill the last fold sum no terms and store nothing.
    let counts = index < params.grid.count;
    var place = select(0u, index, counts);
    let first_column = place % params.tiles_n * tile;
    place = place / params.tiles_n;
    let first_row = place % params.tiles_m * tile;
    place = place / params.tiles_m;
    let split = place % params.splits;
    let group = place / params.splits;
    let start = (params.first_split + split) * params.depth;
    let end = select(0u, min(params.k, start + params.depth), counts);

    // What this invocation loads: neighbours walk along what lies together in memory.
    let a_line = select(local % quads * 4u, local / 2u, A_ALONG);
    let a_term = select(local / quads, local % 2u * 4u, A_ALONG);
    let b_line = select(local % quads * 4u, local / 2u, B_ALONG);
    let b_term = select(local / quads, local % 2u * 4u, B_ALONG);
    let a_slot = slot(a_line, a_term, A_ALONG);
    let b_slot = slot(b_line, b_term, B_ALONG);
    prepare(local);
    let a_place = Place(first_row + a_line, start + a_term);
    let b_place = Place(first_column + b_line, start + b_term);
    var cursor = open_cursor(group, a_place, b_place, b_slot);
    var a = fetch_a(cursor);
    var b = fetch_b(cursor);
    tile_a[a_slot] = keep_a(cursor, a, end);
    tile_b[b_slot] = keep_b(cursor, b, end);

    // What it computes.
    let column = local % (quads / wide);
    let row = local / (quads / wide);
    let half = quads / 2u;
    // Each holds rows of y, or columns where vec4s of B are of terms.
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    // Compilers unroll loops that test at their end, and jump once less in a turn.
    if start < end {
        var k = start;
        loop {
            cursor = next(cursor);
            workgroupBarrier();
            var at = 0u;
            loop {
                // In the loop, or compilers load only when it is through.
                if at == 0u {
                    a = fetch_a(cursor);
                    b = fetch_b(cursor);
                }
                let a0 = block_a(at + row);
                var a1 = mat4x4<f32>();
                if tall > 1u {
                    a1 = block_a(at + row + half);
                }
                // Either way few vec4s of B are held at a time: the registers decide. The one that
                // was loaded last is used first, so that one wait serves both.
                if B_ALONG {
                    for (var j = 0u; j < 4u; j++) {
                        let b0 = tile_b[at + j * STRIDE + column];
                        if wide > 1u {
                            let b1 = tile_b[at + j * STRIDE + column + half];
                            c01[j] = add_line(c01[j], a0, b1);
                            c11[j] = add_line(c11[j], a1, b1);
                        }
                        c00[j] = add_line(c00[j], a0, b0);
                        if tall > 1u {
                            c10[j] = add_line(c10[j], a1, b0);
                        }
                    }
                } else {
                    for (var t = 0u; t < 4u; t++) {
                        let b0 = tile_b[at + t * STRIDE + column];
                        if wide > 1u {
                            let b1 = tile_b[at + t * STRIDE + column + half];
                            c01 = add(c01, term_of(a0, t, A_ALONG), b1);
                            c11 = add(c11, term_of(a1, t, A_ALONG), b1);
                        }
                        c00 = add(c00, term_of(a0, t, A_ALONG), b0);
                        if tall > 1u {
                            c10 = add(c10, term_of(a1, t, A_ALONG), b0);
                        }
                    }
                }
                at += 4u * STRIDE;
                if at >= DEPTH * STRIDE {
                    break;
                }
            }
            workgroupBarrier();
            // What was loaded last comes first: whoever waits for that has the rest.
            tile_b[b_slot] = keep_b(cursor, b, end);
            tile_a[a_slot] = keep_a(cursor, a, end);
            k += DEPTH;
            if k >= end {
                break;
            }
        }
    }

    if counts {
        // The blocks move up through c00, so that one store is compiled.
        for (var block = 0u; block < tall * wide; block++) {
            let own_row = first_row + 4u * (row + block / wide * half);
            let own_column = first_column + 4u * (column + block % wide * half);
            if !B_ALONG {
                c00 = transpose(c00);
            }
            if PADDED && any_nan(c00) {
                c00 = mended_block(group, own_row, own_column, start, end);
            }
            store(group, split, own_row, own_column, c00);
            if wide > 1u {
                c00 = c01;
                c01 = c10;
                c10 = c11;
            } else {
                c00 = c10;
            }
        }
    }
}

fn any_nan(c: mat4x4<f32>) -> bool {
    return any(is_nan4(c[0]) | is_nan4(c[1]) | is_nan4(c[2]) | is_nan4(c[3]));
}

// Where a vec4 begins: its first line and term.
struct Place {
    line: u32,
    term: u32,
}
