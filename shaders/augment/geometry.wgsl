// Provider of word, place, nearest, bordered and in_box: the words of a row, and where an output
// pixel lies in its image. It reads rows, and params.height, width, knots, step_x and step_y, and
// needs augment/row and lib/fixed, which needs lib/philox. Reference: src/ops/augment/mod.rs.

fn word(base: u32, at: u32) -> i32 {
    return bitcast<i32>(rows[base + at]);
}

fn knot(base: u32, axis: u32, y: u32, x: u32) -> i32 {
    return word(base, ROW + (axis * params.knots + y) * params.knots + x);
}

fn between(a: i32, b: i32, f: i32) -> i32 {
    return a + fixed_mul(b - a, f);
}

// The field of displacements: linear between its knots.
fn displacement(base: u32, x: u32, y: u32) -> vec2<i32> {
    let knots_along = vec2<u32>(x * params.step_x, y * params.step_y);
    let cell = min(knots_along >> vec2<u32>(16u), vec2<u32>(params.knots - 2u));
    let f = vec2<i32>(knots_along - (cell << vec2<u32>(16u)));
    var found: vec2<i32>;
    for (var axis = 0u; axis < 2u; axis++) {
        let above = between(
            knot(base, axis, cell.y, cell.x), knot(base, axis, cell.y, cell.x + 1u), f.x
        );
        let under = between(
            knot(base, axis, cell.y + 1u, cell.x), knot(base, axis, cell.y + 1u, cell.x + 1u), f.x
        );
        found[axis] = between(above, under, f.y);
    }
    return found;
}

// Coordinates of output pixel (x, y) in the image, with 16 bits behind the point.
fn place(base: u32, x: u32, y: u32) -> vec2<i32> {
    let at = vec2<i32>(vec2<u32>(x, y));
    var found = vec2<i32>(
        word(base, 0u) * at.x + word(base, 1u) * at.y + word(base, 2u),
        word(base, 3u) * at.x + word(base, 4u) * at.y + word(base, 5u),
    );
    if params.knots > 0u {
        found += displacement(base, x, y);
    }
    return found;
}

fn along(v: i32, extent: u32, border: u32) -> i32 {
    let n = i32(extent);
    if border == 0u {
        return select(-1, v, v >= 0 && v < n);
    }
    if border == 1u {
        // Mirrored at 0, a coordinate is as good as its magnitude.
        let period = max(2u * extent - 2u, 1u);
        let inside = u32(abs(v)) % period;
        return i32(min(inside, period - inside));
    }
    return clamp(v, 0, n - 1);
}

// The pixel that stands for one that may lie outside; an axis is negative for the fill.
fn bordered(base: u32, at: vec2<i32>) -> vec2<i32> {
    let border = (rows[base + FLAGS] >> 1u) & 3u;
    return vec2<i32>(along(at.x, params.width, border), along(at.y, params.height, border));
}

fn nearest(base: u32, x: u32, y: u32) -> vec2<i32> {
    return bordered(base, (place(base, x, y) + vec2<i32>(0x8000)) >> vec2<u32>(16u));
}

fn in_box(base: u32, x: u32, y: u32) -> bool {
    return x - rows[base + BOX_X] < rows[base + BOX_WIDTH]
        && y - rows[base + BOX_Y] < rows[base + BOX_HEIGHT];
}
