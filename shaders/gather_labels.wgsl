// y[row] = labels[indices[row]], 0 for rows from valid on and for indices that are not below rows.
//
// Layout: labels [held], one part of them; indices and y [count], y from element first_y on; valid one word.
// Reference: src/ops/gather.rs.
// One invocation makes one row, one workgroup workgroup_size of them. Overrides: workgroup_size. Providers: gather_row, lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    row: u32,
    first_index: u32,
    first_y: u32,
    rows: u32,
    first: u32,
    held: u32,
}

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<uniform> valid: u32;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let place = place_of(i);
        var label = 0u;
        if (place < ELSEWHERE) {
            label = labels[place];
        }
        if (place != ELSEWHERE) {
            y[params.first_y + i] = label;
        }
    }
}
