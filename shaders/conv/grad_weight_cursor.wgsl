// Provider of A_ALONG, B_ALONG, Cursor, prepare, open_cursor, next, fetch_* and keep_* for
// gemm/shared: dweight = dy x, both along the rows of dy.
//
// Terms are the pixels of dy, its rows filled up to a multiple of four (row_terms): so four of them
// are in one row, and four elements of x, stride_w apart, in one row too. A cursor walks on by
// adding: `a` and `b` are its places in dy and x.
// Overrides: whole (0; 1 or 2 where the rows of dy are multiples of four, so that nothing is
// shifted; 1 where runs of terms are multiples of eight too, so that nothing of dy is checked).
// Providers: second_quad (second_quads) for dy, shifted, gather, conv/params.

override whole: u32 = 1u;

const A_ALONG: bool = true;
const B_ALONG: bool = true;

// What is added to a place for each block of terms, and then if that leaves the row, the image.
struct Steps {
    each: u32,
    row: u32,
    image: u32,
}

struct Cursor {
    a: u32,
    b: u32,
    quad: u32, // of dy
    index: vec4<u32>, // in x
    column: u32, // of dy
    row: u32,
    slot: u32, // of `corners`
    term: u32,
    a_steps: Steps,
    b_steps: Steps,
}

// The column and row of x that column and row 0 of dy see; here, since registers are dearer.
var<workgroup> corners: array<vec2<u32>, slots>;

fn prepare(local: u32) {}

// Steps for places that are so far apart.
fn steps(column: u32, row: u32, image: u32) -> Steps {
    let terms = params.row_terms;
    return Steps(
        params.step_column * column + params.step_row * row + params.step_image * image,
        row - terms * column,
        image - params.out_height * row);
}

fn open_cursor(group: u32, a: Place, b: Place, slot: u32, end: u32) -> Cursor {
    let out = rows(group, a.line).x;
    let own = columns(group, b.line);
    let line = a.term / params.row_terms;
    let image = line / params.out_height;
    var cursor: Cursor;
    cursor.column = a.term - line * params.row_terms;
    cursor.row = line - image * params.out_height;
    cursor.slot = slot;
    corners[slot] = vec2<u32>(own.column.x, own.row.x);
    cursor.term = a.term;
    let plane = params.height * params.width;
    let image_a = params.groups * params.outs * params.out_height * params.out_width;
    let image_b = params.groups * params.channels * plane;
    let row_b = params.stride_h * params.width;
    cursor.a = params.a_base
        + image * image_a
        + (out * params.out_height + cursor.row) * params.out_width
        + cursor.column;
    cursor.b = params.b_base
        + image * image_b
        + own.plane.x * plane
        + own.row.x * params.width
        + cursor.row * row_b
        + own.column.x
        + cursor.column * params.stride_w;
    cursor.a_steps = steps(1u, params.out_width, image_a);
    cursor.b_steps = steps(params.stride_w, row_b, image_b);
    return looked_up(cursor);
}

// A cursor whose places are new.
fn looked_up(cursor: Cursor) -> Cursor {
    var result = cursor;
    let next = vec4<u32>(0u, 1u, 2u, 3u) * params.stride_w;
    result.quad = min(cursor.a / 4u, params.last_quad);
    result.index = min(cursor.b + next, vec4<u32>(params.last_source));
    return result;
}

fn after(at: u32, steps: Steps, over: bool, past: bool) -> u32 {
    return at + steps.each + select(0u, steps.row, over) + select(0u, steps.image, past);
}

fn next(cursor: Cursor, end: u32) -> Cursor {
    var result = cursor;
    let column = cursor.column + params.step_column;
    let over = column >= params.row_terms;
    let row = cursor.row + params.step_row + select(0u, 1u, over);
    let past = row >= params.out_height;
    // The differences wrap to large numbers where they are not taken.
    result.column = min(column, column - params.row_terms);
    result.row = min(row, row - params.out_height);
    result.term = cursor.term + DEPTH;
    result.a = after(cursor.a, cursor.a_steps, over, past);
    result.b = after(cursor.b, cursor.b_steps, over, past);
    return looked_up(result);
}

fn fetch_a(cursor: Cursor) -> vec4<f32> {
    let v = second_quad(cursor.quad);
    if whole != 0u {
        return v;
    }
    return shifted(v, second_quad(min(cursor.quad + 1u, params.last_quad)), cursor.a);
}

fn fetch_b(cursor: Cursor) -> vec4<f32> {
    let at = cursor.index;
    return vec4<f32>(source[at.x], source[at.y], source[at.z], source[at.w]);
}

// Which of the four terms there are.
fn in_row(cursor: Cursor, end: u32) -> vec4<bool> {
    let columns = cursor.column + vec4<u32>(0u, 1u, 2u, 3u);
    return (columns < vec4<u32>(params.out_width)) & vec4<bool>(cursor.term < end);
}

fn keep_a(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    if whole == 1u {
        return value;
    }
    return select(vec4<f32>(), value, in_row(cursor, end));
}

fn keep_b(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    // Outside, whatever the column, where the row is.
    let corner = corners[cursor.slot];
    let first = corner.x + cursor.column * params.stride_w;
    let row_inside = corner.y + cursor.row * params.stride_h < params.height;
    let next = vec4<u32>(0u, 1u, 2u, 3u) * params.stride_w;
    var inside = select(0x80000000u, first, row_inside) + next < vec4<u32>(params.width);
    if whole != 1u {
        inside &= in_row(cursor, end);
    }
    return select(vec4<f32>(), value, inside);
}
