// y[row, column] = the end of a[row, column] + b[row, column]: the last stage of a product whose
// terms lie in several parts.
//
// Layout: a and b [count / columns, columns]; y begins at element first_y of its binding and has
// rows of row_y elements.
// Reference: src/lowering/gemm/mod.rs and whoever cuts a sum. One invocation makes one element, one
// workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: end, y and finish (y_elements), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    columns: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let row = i / params.columns;
        let column = i % params.columns;
        let at = params.first_y + row * params.row_y + column;
        y[at] = finish(a[i] + b[i], params.first_column + column, at);
    }
}
