// Pieces of long gathers, as Pieces of src/lowering/pieces.rs: for params with first, outputs,
// taps0 .. taps3 and pieces1 .. pieces3.
//
// Where the override cut of the body is 1, result j belongs to output first + j % outputs and to
// piece j / outputs of it, which takes a box of its loops: along axis a the taps_a indices from
// taps_a times its number along that axis on. Axis 3 is the innermost. Where cut is 0, result j is
// output j.

struct Piece {
    output: u32,
    along: vec4<u32>,
}

fn piece_of(j: u32) -> Piece {
    if cut == 0u {
        return Piece(j, vec4<u32>());
    }
    let piece = j / params.outputs;
    let rest2 = piece / params.pieces3;
    let rest1 = rest2 / params.pieces2;
    let rest0 = rest1 / params.pieces1;
    let along = vec4<u32>(
        rest0,
        rest1 - rest0 * params.pieces1,
        rest2 - rest1 * params.pieces2,
        piece - rest2 * params.pieces3,
    );
    return Piece(params.first + j - piece * params.outputs, along);
}
