// Provider of Params for padding that repeats elements: x and y, or their gradients, as four axes,
// outermost first.
//
// The extents in x and in y of each axis, and how much is added before it; where x and y begin; the
// mode as in lib/pad.

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
    mode: u32,
    x0: u32,
    y0: u32,
    before0: u32,
    x1: u32,
    y1: u32,
    before1: u32,
    x2: u32,
    y2: u32,
    before2: u32,
    x3: u32,
    y3: u32,
    before3: u32,
    // Pieces of long sums, see lib/pieces.
    first: u32,
    outputs: u32,
    taps0: u32,
    taps1: u32,
    taps2: u32,
    taps3: u32,
    pieces1: u32,
    pieces2: u32,
    pieces3: u32,
}
