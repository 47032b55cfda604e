// y[n] = share * x[n] + (1 - share) * x[n + 1], and x[n + 1] in the box, as row n says; the row
// after the last one is the first.
//
// Layout: x, next and y [rows, columns]: the rows at hand, those after them, and what becomes of
// them; a row is [channels, height, width]. rows [rows, words]. Each from its first element on.
// Reference: src/ops/augment/mix.rs.
// One invocation makes an element, one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: augment/row, lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    first_x: u32,
    first_next: u32,
    first_row: u32,
    first_y: u32,
    columns: u32,
    height: u32,
    width: u32,
    words: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> next: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let sample = quotient(i, params.columns);
        let line = quotient(i - sample * params.columns, params.width);
        let column = i - sample * params.columns - line * params.width;
        let base = params.first_row + sample * params.words;
        let other = next[params.first_next + i];
        let share = f32(min(rows[base + SHARE], 65536u)) / 65536.0;
        let own = x[params.first_x + i];
        var mixed = share * own + (1.0 - share) * other;
        // 0 times an infinity would be NaN.
        mixed = select(mixed, own, share == 1.0);
        mixed = select(mixed, other, share == 0.0);
        let at = line - quotient(line, params.height) * params.height;
        let inside = column - rows[base + BOX_X] < rows[base + BOX_WIDTH]
            && at - rows[base + BOX_Y] < rows[base + BOX_HEIGHT];
        y[params.first_y + i] = select(mixed, other, inside);
    }
}
