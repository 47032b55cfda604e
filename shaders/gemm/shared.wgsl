// y = A B by tiles in workgroup memory: matrix products and convolutions as implicit ones.
//
// Layout: as the providers map it. A is m x k, B is k x n, y is m x n, once per group; the k axis
// may be cut into `splits` runs of `depth` terms (a multiple of 16) whose sums are stored apart.
// Reference: src/ops/matmul/mod.rs, src/ops/conv/geometry.rs.
// One workgroup makes tile x tile elements of y, one invocation 4 * tall rows of 4 columns, in
// registers; A and B pass through workgroup memory sixteen terms at a time, as vec4s along m and n,
// so that neighbours read neighbouring words. A sum that is NaN is made again without the terms
// whose B is padding: NaN or Inf times that zero is no part of it.
// Overrides: tile (64 or 32), tall (2 or 1), workgroup_size = tile * tile / (16 * tall).
// From these follows tile_quads, the vec4s of a tile of A or B.
// Providers: Params, rows, columns, load_a, load_b, inside_b, store_one, rows_first (whether rows
// of A, not its terms, lie side by side), PADDED (whether B has padding, which inside_b tells);
// end; y and finish (y_elements); lib/grid, lib/float.

override tile: u32 = 64u;
override tall: u32 = 2u;
override workgroup_size: u32 = 128u;
override tile_quads: u32 = tile * 4u;

const DEPTH: u32 = 16u;

var<workgroup> tile_a: array<vec4<f32>, tile_quads>;
var<workgroup> tile_b: array<vec4<f32>, tile_quads>;

// Four columns of a row of y, as far as they lie inside.
fn store(group: u32, split: u32, row: u32, column: u32, value: vec4<f32>) {
    if row >= params.m {
        return;
    }
    if column < params.n {
        store_one(group, split, row, column, value.x);
    }
    if column + 1u < params.n {
        store_one(group, split, row, column + 1u, value.y);
    }
    if column + 2u < params.n {
        store_one(group, split, row, column + 2u, value.z);
    }
    if column + 3u < params.n {
        store_one(group, split, row, column + 3u, value.w);
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

    // What this invocation loads: every workgroup_size-th vec4 of each tile. For A, neighbours walk
    // along k or along m, whichever lies together in memory; for B along n.
    let b_quad = local % quads;
    let b_term = local / quads;
    let b_stride = workgroup_size / quads;
    let a_quad = select(local / DEPTH, local % quads, rows_first());
    let a_term = select(local % DEPTH, local / quads, rows_first());
    let own_columns = columns(group, first_column + 4u * b_quad);

    // What it computes.
    let column = local % quads;
    let row = local / quads;

    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var c4 = vec4<f32>();
    var c5 = vec4<f32>();
    var c6 = vec4<f32>();
    var c7 = vec4<f32>();
    let start = (params.first_split + split) * params.depth;
    let end = select(0u, min(params.k, start + params.depth), counts);
    for (var k = start; k < end; k += DEPTH) {
        if rows_first() {
            let own_rows = rows(group, first_row + 4u * a_quad);
            for (var term = a_term; term < DEPTH; term += b_stride) {
                tile_a[term * quads + a_quad] = load_a(own_rows, k + term, end);
            }
        } else {
            for (var quad = a_quad; quad < quads; quad += workgroup_size / DEPTH) {
                tile_a[a_term * quads + quad] = load_a(
                    rows(group, first_row + 4u * quad), k + a_term, end
                );
            }
        }
        for (var term = b_term; term < DEPTH; term += b_stride) {
            tile_b[term * quads + b_quad] = load_b(own_columns, k + term, end);
        }
        workgroupBarrier();
        for (var term = 0u; term < DEPTH; term++) {
            let b = tile_b[term * quads + column];
            let a = tile_a[term * quads + row * tall];
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
            if tall > 1u {
                let below = tile_a[term * quads + row * tall + 1u];
                c4 += below.x * b;
                c5 += below.y * b;
                c6 += below.z * b;
                c7 += below.w * b;
            }
        }
        workgroupBarrier();
    }

    if counts {
        let y_row = first_row + row * tall * 4u;
        let y_column = first_column + column * 4u;
        let nan = is_nan4(c0)
            | is_nan4(c1)
            | is_nan4(c2)
            | is_nan4(c3)
            | is_nan4(c4)
            | is_nan4(c5)
            | is_nan4(c6)
            | is_nan4(c7);
        if PADDED && any(nan) {
            c0 = vec4<f32>();
            c1 = vec4<f32>();
            c2 = vec4<f32>();
            c3 = vec4<f32>();
            c4 = vec4<f32>();
            c5 = vec4<f32>();
            c6 = vec4<f32>();
            c7 = vec4<f32>();
            let y_rows = rows(group, y_row);
            let lower_rows = rows(group, y_row + 4u);
            let y_columns = columns(group, y_column);
            var left = true;
            for (var k = start; k < end && left; k++) {
                let b = load_b(y_columns, k, end);
                let inside = inside_b(y_columns, k);
                let a = load_a(y_rows, k, end);
                c0 += select(vec4<f32>(), a.x * b, inside);
                c1 += select(vec4<f32>(), a.y * b, inside);
                c2 += select(vec4<f32>(), a.z * b, inside);
                c3 += select(vec4<f32>(), a.w * b, inside);
                left = !all(is_nan4(c0) & is_nan4(c1) & is_nan4(c2) & is_nan4(c3));
                if tall > 1u {
                    let below = load_a(lower_rows, k, end);
                    c4 += select(vec4<f32>(), below.x * b, inside);
                    c5 += select(vec4<f32>(), below.y * b, inside);
                    c6 += select(vec4<f32>(), below.z * b, inside);
                    c7 += select(vec4<f32>(), below.w * b, inside);
                    left = left || !all(is_nan4(c4) & is_nan4(c5) & is_nan4(c6) & is_nan4(c7));
                }
            }
        }
        store(group, split, y_row, y_column, c0);
        store(group, split, y_row + 1u, y_column, c1);
        store(group, split, y_row + 2u, y_column, c2);
        store(group, split, y_row + 3u, y_column, c3);
        if tall > 1u {
            store(group, split, y_row + 4u, y_column, c4);
            store(group, split, y_row + 5u, y_column, c5);
            store(group, split, y_row + 6u, y_column, c6);
            store(group, split, y_row + 7u, y_column, c7);
        }
    }
}
