// y = A B by cooperative matrices: as gemm_shared, with A and B rounded to f16 and their products
// summed in f32.
//
// Layout: as gemm_shared, with runs of a multiple of 32 terms. Reference: src/ops/matmul/mod.rs,
// src/ops/conv/geometry.rs.
// One workgroup makes down x along blocks of y, a subgroup one block of 4 x 2 matrices at a time. A
// and B pass through workgroup memory thirty-two terms at a time, term by term, each term padded
// against bank conflicts; so does y, matrix by matrix, since only its elements can be finished.
// Rows, columns and terms past the extents are multiplied and not stored. There may be fewer
// subgroups than blocks: then the workgroup walks over the terms several times. Where there are
// more, the last ones repeat what another does.
// Overrides: down and along (blocks per workgroup), workgroup_size (a multiple of the subgroup's
// and of along * EDGE / 2). From these follow extent_a, extent_b and extent_y, the elements of the
// tiles of A, B and y.
// Providers: Params, rows_first, rows, columns, load_a, load_b, inside_b, PADDED, y_column, y_step,
// third_index; end; y and finish (y_elements); cooperative_*, which says what matrices and
// subgroups are.

override down: u32 = 2u;
override along: u32 = 4u;
override workgroup_size: u32 = 256u;
override extent_a: u32 = (down * BLOCK_ROWS + PADDING) * DEPTH;
override extent_b: u32 = (along * BLOCK_COLUMNS + PADDING) * DEPTH;
override extent_y: u32 = down * along * AREA;

const DEPTH: u32 = 32u;
const PADDING: u32 = 8u;
const BLOCK_ROWS: u32 = 4u * EDGE;
const BLOCK_COLUMNS: u32 = 2u * EDGE;
const AREA: u32 = EDGE * EDGE;

var<workgroup> tile_a: array<Half, extent_a>;
var<workgroup> tile_b: array<Half, extent_b>;
var<workgroup> results: array<f32, extent_y>;

// What a workgroup makes: its group and split, the first row and column.
struct Place {
    group: u32,
    split: u32,
    row: u32,
    column: u32,
}

// A sum that is NaN, again without the terms whose B is padding: NaN or Inf times that zero is no
// part of it.
fn mended(value: f32, place: Place, row: u32, column: u32) -> f32 {
    if !is_nan(value) || params.mends == 0u {
        return value;
    }
    let own_row = rows(place.group, row);
    let own_column = columns(place.group, column);
    let start = (params.first_split + place.split) * params.depth;
    let end = min(params.k, start + params.depth);
    var sum = 0.0;
    for (var k = start; k < end && !is_nan(sum); k++) {
        if inside_b(own_column, k).x {
            sum +=
                f32(halves(load_a(own_row, k, end)).x) * f32(halves(load_b(own_column, k, end)).x);
        }
    }
    return sum;
}

// Stores what lies in `results`: one matrix of each of the blocks from `first_block` on, `row` rows
// and `column` columns within its block.
fn store(place: Place, first_block: u32, busy: u32, local: u32, row: u32, column: u32) {
    for (var at = local; at < busy * AREA; at += workgroup_size) {
        let block = first_block + at / AREA;
        let own_row = place.row + block / along * BLOCK_ROWS + row + at % AREA / EDGE;
        let own_column = place.column + block % along * BLOCK_COLUMNS + column + at % EDGE;
        if block < down * along && own_row < params.m && own_column < params.n {
            var value = results[at];
            if PADDED {
                value = mended(value, place, own_row, own_column);
            }
            let own = y_column(place.group, place.split, own_column) + own_row * y_step();
            y[own] = finish(value, third_index(place.group, own_row, own_column), own);
        }
    }
}

@compute @workgroup_size(workgroup_size)
fn main(
    @builtin(workgroup_id) group_id: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    lanes: Lanes,
) {
    let rows_a = down * BLOCK_ROWS;
    let columns_b = along * BLOCK_COLUMNS;
    let stride_a = rows_a + PADDING;
    let stride_b = columns_b + PADDING;
    let index = workgroup_index(group_id);
    // Workgroups that only fill the last fold sum no terms and store nothing.
    let counts = index < params.grid.count;
    var rest = select(0u, index, counts);
    let first_column = rest % params.tiles_n * columns_b;
    rest = rest / params.tiles_n;
    let first_row = rest % params.tiles_m * rows_a;
    rest = rest / params.tiles_m;
    let place = Place(rest / params.splits, rest % params.splits, first_row, first_column);
    let start = (params.first_split + place.split) * params.depth;
    let end = select(0u, min(params.k, start + params.depth), counts);

    // What this invocation loads of B: every workgroup_size-th vec4 along n.
    let b_quad = local % (columns_b / 4u);
    let b_term = local / (columns_b / 4u);
    let b_step = workgroup_size / (columns_b / 4u);
    let own_columns = columns(place.group, first_column + 4u * b_quad);

    let busy = min(subgroups(lanes), down * along);
    let slot = min(subgroup(lanes), busy - 1u);
    let area = slot * AREA;
    for (var first_block = 0u; first_block < down * along; first_block += busy) {
        let block = min(first_block + slot, down * along - 1u);
        let row = block / along * BLOCK_ROWS;
        let column = block % along * BLOCK_COLUMNS;
        for (var at = local; at < down * along * AREA; at += workgroup_size) {
            results[at] = 0.0;
        }
        workgroupBarrier();
        var c00 = read_c(area);
        var c01 = c00;
        var c10 = c00;
        var c11 = c00;
        var c20 = c00;
        var c21 = c00;
        var c30 = c00;
        var c31 = c00;
        for (var k = start; k < end; k += DEPTH) {
            // Of A, neighbours walk along k or along m, whichever lies together in memory.
            for (var i = local; i < rows_a / 4u * DEPTH; i += workgroup_size) {
                let quad = select(i / DEPTH, i % (rows_a / 4u), rows_first());
                let term = select(i % DEPTH, i / (rows_a / 4u), rows_first());
                let a = halves(load_a(rows(place.group, first_row + 4u * quad), k + term, end));
                let at = term * stride_a + 4u * quad;
                tile_a[at] = a.x;
                tile_a[at + 1u] = a.y;
                tile_a[at + 2u] = a.z;
                tile_a[at + 3u] = a.w;
            }
            for (var term = b_term; term < DEPTH; term += b_step) {
                let b = halves(load_b(own_columns, k + term, end));
                let at = term * stride_b + 4u * b_quad;
                tile_b[at] = b.x;
                tile_b[at + 1u] = b.y;
                tile_b[at + 2u] = b.z;
                tile_b[at + 3u] = b.w;
            }
            workgroupBarrier();
            for (var term = 0u; term < DEPTH; term += EDGE) {
                let b_at = term * stride_b + column;
                let b0 = read_b(b_at, stride_b);
                let b1 = read_b(b_at + EDGE, stride_b);
                let a_at = term * stride_a + row;
                let a0 = read_a(a_at, stride_a);
                c00 = multiply_add(a0, b0, c00);
                c01 = multiply_add(a0, b1, c01);
                let a1 = read_a(a_at + EDGE, stride_a);
                c10 = multiply_add(a1, b0, c10);
                c11 = multiply_add(a1, b1, c11);
                let a2 = read_a(a_at + 2u * EDGE, stride_a);
                c20 = multiply_add(a2, b0, c20);
                c21 = multiply_add(a2, b1, c21);
                let a3 = read_a(a_at + 3u * EDGE, stride_a);
                c30 = multiply_add(a3, b0, c30);
                c31 = multiply_add(a3, b1, c31);
            }
            workgroupBarrier();
        }
        // Matrices are no array, and there is one place that stores.
        for (var i = 0u; i < 8u; i++) {
            switch i {
                case 0u: { write_c(c00, area); }
                case 1u: { write_c(c01, area); }
                case 2u: { write_c(c10, area); }
                case 3u: { write_c(c11, area); }
                case 4u: { write_c(c20, area); }
                case 5u: { write_c(c21, area); }
                case 6u: { write_c(c30, area); }
                default: { write_c(c31, area); }
            }
            workgroupBarrier();
            if counts {
                store(place, first_block, busy, local, i / 2u * EDGE, i % 2u * EDGE);
            }
            workgroupBarrier();
        }
    }
}
