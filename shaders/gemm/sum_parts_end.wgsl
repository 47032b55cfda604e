// y[row, column] = the end of the sum over p of parts[p, row, column], in order: the second stage
// of split sums that something follows.
//
// Layout: parts [parts, part], of which count elements are rows of `columns`; y begins at element
// first_y of its binding and has rows of row_y elements. Parts are bound twice, as the first one
// and as the others: what follows has the bindings after them.
// Reference: src/lowering/gemm/mod.rs and whoever splits. One invocation makes one element, one
// workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: end, y and finish (y_elements), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    columns: u32,
    parts: u32,
    part: u32,
    first_y: u32,
    row_y: u32,
    first_column: u32, // of the bias
}

@group(0) @binding(0) var<storage, read> part: array<f32>;
@group(0) @binding(1) var<storage, read> parts: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        var sum = part[i];
        for (var p = 1u; p < params.parts; p++) {
            sum += parts[p * params.part + i];
        }
        let row = i / params.columns;
        let column = i - row * params.columns;
        let at = params.first_y + row * params.row_y + column;
        y[at] = finish(sum, params.first_column + column, at);
    }
}
