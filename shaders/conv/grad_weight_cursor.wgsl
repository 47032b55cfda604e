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
    a: u32, // in vec4s where whole is not 0
    b: u32,
    quad: u32, // of dy
    index: vec4<u32>, // in x
    // Column and row of x, and of what is past the end of a row of dy and of an image.
    column: i32,
    row: i32,
    end_column: i32,
    end_row: i32,
    // What a block of terms adds to column and row, and what a row and an image of dy have.
    step_column: i32,
    step_row: i32,
    span_columns: i32,
    span_rows: i32,
    term: u32,
    a_steps: Steps,
    b_steps: Steps,
}

fn prepare(local: u32) {}

// Steps for places that are so far apart.
fn steps(column: u32, row: u32, image: u32) -> Steps {
    let terms = params.row_terms;
    return Steps(
        params.step_column * column + params.step_row * row + params.step_image * image,
        row - terms * column,
        image - params.out_height * row);
}

fn open_cursor(group: u32, a: Place, b: Place, slot: u32) -> Cursor {
    let out = rows(group, a.line).x;
    let own = columns(group, b.line);
    let line = a.term / params.row_terms;
    let image = line / params.out_height;
    var cursor: Cursor;
    let column = a.term - line * params.row_terms;
    let row = line - image * params.out_height;
    let x = own.column.x + column * params.stride_w;
    let y = own.row.x + row * params.stride_h;
    cursor.column = bitcast<i32>(x);
    cursor.row = bitcast<i32>(y);
    cursor.step_column = i32(params.step_column * params.stride_w);
    cursor.step_row = i32(params.step_row * params.stride_h);
    cursor.span_columns = i32(params.row_terms * params.stride_w);
    cursor.span_rows = i32(params.out_height * params.stride_h);
    cursor.end_column = bitcast<i32>(own.column.x) + cursor.span_columns;
    cursor.end_row = bitcast<i32>(own.row.x) + cursor.span_rows;
    cursor.term = a.term;
    let plane = params.height * params.width;
    let image_a = params.groups * params.outs * params.out_height * params.out_width;
    let image_b = params.groups * params.channels * plane;
    let row_b = params.stride_h * params.width;
    cursor.a = params.a_base
        + image * image_a
        + (out * params.out_height + row) * params.out_width
        + column;
    cursor.b = params.b_base
        + image * image_b
        + own.plane.x * plane
        + y * params.width
        + x;
    cursor.a_steps = steps(1u, params.out_width, image_a);
    cursor.b_steps = steps(params.stride_w, row_b, image_b);
    if whole != 0u {
        // Rows of dy lie one behind the other, so that only images are apart.
        cursor.a /= 4u;
        cursor.a_steps = Steps(cursor.a_steps.each / 4u, 0u, cursor.a_steps.image / 4u);
    }
    return looked_up(cursor);
}

// A cursor whose places are new.
fn looked_up(cursor: Cursor) -> Cursor {
    var result = cursor;
    let next = vec4<u32>(0u, 1u, 2u, 3u) * params.stride_w;
    result.quad = min(select(cursor.a, cursor.a / 4u, whole == 0u), params.last_quad);
    result.index = min(cursor.b + next, vec4<u32>(params.last_source));
    return result;
}

fn after(at: u32, steps: Steps, over: bool, past: bool) -> u32 {
    return at + steps.each + select(0u, steps.row, over) + select(0u, steps.image, past);
}

fn next(cursor: Cursor) -> Cursor {
    var result = cursor;
    let column = cursor.column + cursor.step_column;
    let over = column >= cursor.end_column;
    let row = cursor.row + cursor.step_row + select(0, i32(params.stride_h), over);
    let past = row >= cursor.end_row;
    result.column = column - select(0, cursor.span_columns, over);
    result.row = row - select(0, cursor.span_rows, past);
    result.term = cursor.term + DEPTH;
    result.a = after(cursor.a, cursor.a_steps, over && whole == 0u, past);
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
    let filled = i32((params.row_terms - params.out_width) * params.stride_w);
    let column = cursor.column + vec4<i32>(0, 1, 2, 3) * i32(params.stride_w);
    let inside = column < vec4<i32>(cursor.end_column - filled);
    return inside & vec4<bool>(cursor.term < end);
}

fn keep_a(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    if whole == 1u {
        return value;
    }
    return select(vec4<f32>(), value, in_row(cursor, end));
}

fn keep_b(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    // Outside, whatever the column, where the row is.
    let row_inside = bitcast<u32>(cursor.row) < params.height;
    let first = select(0x80000000u, bitcast<u32>(cursor.column), row_inside);
    let next = vec4<u32>(0u, 1u, 2u, 3u) * params.stride_w;
    var inside = first + next < vec4<u32>(params.width);
    if whole != 1u {
        inside &= in_row(cursor, end);
    }
    // From the last one on: whoever waits for that has the others.
    let w = select(0.0, value.w, inside.w);
    let z = select(0.0, value.z, inside.z);
    let y = select(0.0, value.y, inside.y);
    return vec4<f32>(select(0.0, value.x, inside.x), y, z, w);
}
