// y[row, column] = data[indices[row], column] * scale + shift, 0 for rows from valid on and for indices that are not below rows.
//
// Layout: data [held, columns] of bytes, four to a little-endian word, one part of it; indices [batch]; valid one word;
// y [batch, columns] from element first_y on. Reference: src/ops/gather.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides: workgroup_size. Providers: gather_row, lib/grid.

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
    columns: u32,
    scale: f32,
    shift: f32,
}

@group(0) @binding(0) var<storage, read> data: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<uniform> valid: u32;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let row = i / params.columns;
        let place = place_of(row);
        var value = 0.0;
        if (place < ELSEWHERE) {
            let at = place * params.columns + i % params.columns;
            let byte = (data[at / 4u] >> (at % 4u * 8u)) & 0xffu;
            value = f32(byte) * params.scale + params.shift;
        }
        if (place != ELSEWHERE) {
            y[params.first_y + i] = value;
        }
    }
}
