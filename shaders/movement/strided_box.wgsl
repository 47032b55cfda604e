// Provider of Params, Places and places: a box of at most six axes that lies in two values, by
// extent and strides in x and y of each.
//
// The axes come outermost first. Counts, bases and strides are in elements or in quads, as the body
// says; a stride that runs backwards wraps. row_x and row_y are for bodies that move blocks.
// Overrides: axes (2, 4 or 6: the axes outside the innermost so many have extent 1).

override axes: u32 = 6u;

struct Params {
    grid: Grid,
    count: u32,
    base_x: u32,
    base_y: u32,
    row_x: u32,
    row_y: u32,
    extent0: u32,
    x0: u32,
    y0: u32,
    extent1: u32,
    x1: u32,
    y1: u32,
    extent2: u32,
    x2: u32,
    y2: u32,
    extent3: u32,
    x3: u32,
    y3: u32,
    extent4: u32,
    x4: u32,
    y4: u32,
    extent5: u32,
    x5: u32,
    y5: u32,
}

struct Places {
    x: u32,
    y: u32,
}

// Where element or quad number i of the box lies.
fn places(i: u32) -> Places {
    let i5 = i % params.extent5;
    var rest = i / params.extent5;
    var x = params.base_x + i5 * params.x5;
    var y = params.base_y + i5 * params.y5;
    if axes > 2u {
        let i4 = rest % params.extent4;
        rest = rest / params.extent4;
        let i3 = rest % params.extent3;
        rest = rest / params.extent3;
        x += i4 * params.x4 + i3 * params.x3;
        y += i4 * params.y4 + i3 * params.y3;
        if axes > 4u {
            let i2 = rest % params.extent2;
            rest = rest / params.extent2;
            let i1 = rest % params.extent1;
            let i0 = rest / params.extent1;
            x += i2 * params.x2 + i1 * params.x1 + i0 * params.x0;
            y += i2 * params.y2 + i1 * params.y1 + i0 * params.y0;
        } else {
            x += rest * params.x2;
            y += rest * params.y2;
        }
    } else {
        x += rest * params.x4;
        y += rest * params.y4;
    }
    return Places(x, y);
}
