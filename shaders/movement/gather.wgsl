// y[row, column] = value of data[indices[row], column], 0 for rows from valid on and for indices
// that are not below rows.
//
// Layout: data [held, columns], one part of it, as the provider of value_at reads it; indices
// [batch]; valid one word; y [batch, columns] of the provider's elements, from number first_y on.
// Rows first to first + held - 1 of the data are bound, of `rows` in all; output rows begin with
// number `row`, whose index is element first_index of indices. Reference:
// src/ops/movement/gather.rs.
// One invocation makes one Element, one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: Element and value_at (gather_bytes, gather_words,
// gather_floats or gather_labels), lib/grid.

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
@group(0) @binding(3) var<storage, read_write> y: array<Element>;
@group(0) @binding(4) var<uniform> params: Params;

// No part has the row: it is 0.
const NOWHERE: u32 = 0xffffffffu;
// Another part has it, whose dispatch writes it.
const ELSEWHERE: u32 = 0xfffffffeu;

// Where the data of an output row lie in the part at hand.
fn place_of(row: u32) -> u32 {
    let index = indices[params.first_index + row];
    if params.row + row >= valid || index >= params.rows {
        return NOWHERE;
    }
    let place = index - params.first;
    return select(ELSEWHERE, place, place < params.held);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let place = place_of(i / params.columns);
        var value: Element;
        if place < ELSEWHERE {
            value = value_at(place * params.columns + i % params.columns);
        }
        if place != ELSEWHERE {
            y[params.first_y + i] = value;
        }
    }
}
