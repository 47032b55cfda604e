// Provider of A_ALONG, B_ALONG, Cursor, prepare, open_cursor, next, fetch_* and keep_* for
// gemm/shared: matrices in storage, read as vec4s along their rows as stored.
//
// Overrides: along_a, along_b (1 where these rows hold terms, 0 where they hold rows of A or
// columns of B), whole (0; 1 or 2 where every vec4 begins at one of the buffer's, so that nothing
// is shifted; 1 where every run of terms is a multiple of 8 too, so that nothing is checked).
// Providers: first_quad (first_quads) for a, second_quad (second_quads) for b, shifted.

override along_a: u32 = 1u;
override along_b: u32 = 0u;
override whole: u32 = 1u;
override A_ALONG: bool = along_a == 1u;
override B_ALONG: bool = along_b == 1u;

// The first elements of the vec4s of this invocation, and their terms.
struct Cursor {
    a: u32,
    b: u32,
    a_term: u32,
    b_term: u32,
}

fn prepare(local: u32) {}

fn open_cursor(group: u32, a: Place, b: Place, slot: u32) -> Cursor {
    let row = min(a.line, params.m - 1u);
    let column = min(b.line, params.n - 1u);
    let a_at = params.first_a + group * params.step_a + row * params.line_a;
    let b_at = params.first_b + group * params.step_b + column * params.line_b;
    return Cursor(
        a_at + a.term * params.term_a, b_at + b.term * params.term_b, a.term, b.term
    );
}

fn next(cursor: Cursor) -> Cursor {
    return Cursor(
        cursor.a + DEPTH * params.term_a,
        cursor.b + DEPTH * params.term_b,
        cursor.a_term + DEPTH,
        cursor.b_term + DEPTH,
    );
}

// Past the last terms or lines they hold anything.
fn fetch_a(cursor: Cursor) -> vec4<f32> {
    let at = cursor.a / 4u;
    let v = first_quad(min(at, params.last_a));
    if whole != 0u {
        return v;
    }
    return shifted(v, first_quad(min(at + 1u, params.last_a)), cursor.a);
}

fn fetch_b(cursor: Cursor) -> vec4<f32> {
    let at = cursor.b / 4u;
    let v = second_quad(min(at, params.last_b));
    if whole != 0u {
        return v;
    }
    return shifted(v, second_quad(min(at + 1u, params.last_b)), cursor.b);
}

// What was fetched, 0 past the last term.
fn keep(value: vec4<f32>, term: u32, along: bool, end: u32) -> vec4<f32> {
    if whole == 1u {
        return value;
    }
    let next = select(vec4<u32>(), vec4<u32>(0u, 1u, 2u, 3u), along);
    return select(vec4<f32>(), value, term + next < vec4<u32>(end));
}

fn keep_a(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    return keep(value, cursor.a_term, A_ALONG, end);
}

fn keep_b(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    return keep(value, cursor.b_term, B_ALONG, end);
}
