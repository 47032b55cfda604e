// Provider of NOWHERE, ELSEWHERE and place_of: where a gathered row lies in the part of the data at hand.
//
// Rows first to first + held - 1 of the data are bound, of `rows` in all; output rows begin with number `row`, whose index is element
// first_index of indices.

// No part has the row: it is 0.
const NOWHERE: u32 = 0xffffffffu;
// Another part has it, whose dispatch writes it.
const ELSEWHERE: u32 = 0xfffffffeu;

fn place_of(row: u32) -> u32 {
    let index = indices[params.first_index + row];
    if (params.row + row >= valid || index >= params.rows) {
        return NOWHERE;
    }
    let place = index - params.first;
    return select(ELSEWHERE, place, place < params.held);
}
