// Provider of Place, place and next: where outputs lie. A slab is a plane at one depth.

struct Place {
    slab: u32,
    row: u32,
    column: u32,
}

fn place(o: u32) -> Place {
    let line = quotient(o, params.out_width);
    let slab = quotient(line, params.out_height);
    return Place(slab, line - slab * params.out_height, o - line * params.out_width);
}

// The output that follows, over row ends too.
fn next(at: Place) -> Place {
    let wrap = at.column + 1u == params.out_width;
    let row = at.row + u32(wrap);
    let turn = row == params.out_height;
    return Place(at.slab + u32(turn), select(row, 0u, turn), select(at.column + 1u, 0u, wrap));
}
