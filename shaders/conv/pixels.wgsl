// Provider of A_ALONG, B_ALONG, Cursor, prepare, open_cursor, next, fetch_* and keep_* for
// gemm/shared: convolutions whose columns are pixels, forward and for the gradient of the input.
//
// What tap (r, s) of a channel shows to a pixel lies at the pixel's own place + the tap's + the
// channel's. Whether it is there is a bit of the pixel: no division, comparison or multiplication
// is left for the loop over terms. Places of pixels pass through workgroup memory, since registers
// are dearer.
//
//     seen (by_axis = 0)   taps 0 to 14 of pixel 1    taps 0 to 14 of pixel 0       (x; y: 3 and 2)
//     seen (by_axis = 1)   columns s, 0 to 14         rows r, 0 to 14               (of each pixel)
//                     bit  31 | 30 ... 16             15 | 14 ... 0
//
// Bits 15 and 31 are never set: they stand for terms past the last one.
// Overrides: by_axis (1 where there are more than 15 taps; along an axis at most 15 are), whole (1
// where vec4s of weights begin at one of the buffer's and runs of terms are multiples of 8: then
// nothing is shifted or checked).
// Providers: pixels, list_tap, Weights, open_weights, next_weights, find_weights,
// fetch_weights and keep_weights (conv/forward_cursor or conv/grad_input_cursor), gather,
// conv/params.

override by_axis: u32 = 0u;
override whole: u32 = 1u;
override listed: u32 = 16u + 240u * by_axis; // taps, and one that is nowhere inside

const B_ALONG: bool = false;
const NEVER: u32 = 15u;

// What four pixels see: where the first tap of their first channel lies, should it be inside, and
// which of the rows and columns of taps are, a bit for each.
struct Pixels {
    first: vec4<u32>,
    rows: vec4<u32>,
    columns: vec4<u32>,
}

// `place`: how far to the left the tap's bit goes to become the sign of a pixel's.
struct Tap {
    offset: u32,
    place: u32,
}

var<workgroup> taps: array<Tap, listed>;
var<workgroup> firsts: array<vec4<u32>, slots>;

struct Cursor {
    weights: Weights,
    slot: u32, // of `firsts`
    seen: vec4<u32>,
    taps: u32,
    tap: u32,
    channel: u32, // elements before it
    term: u32,
    place: u32,
    index: vec4<u32>,
}

fn prepare(local: u32) {
    let count = params.taps_h * params.taps_w;
    for (var tap = local; tap <= count; tap += workgroup_size) {
        if tap == count {
            taps[tap] = Tap(0u, (31u - NEVER) | ((15u - NEVER) << 16u));
        } else {
            let offset = list_tap(tap, tap_place(tap));
            var bits = vec2<u32>(tap, 0u);
            if by_axis == 1u {
                bits.x = tap / params.taps_w;
                bits.y = tap - bits.x * params.taps_w;
            }
            taps[tap] = Tap(offset, (31u - bits.x) | ((15u - bits.y) << 16u));
        }
    }
    workgroupBarrier();
}

fn open_cursor(group: u32, a: Place, b: Place, slot: u32, end: u32) -> Cursor {
    let own = pixels(group, b.line);
    var cursor: Cursor;
    cursor.seen = own.rows | (own.columns << vec4<u32>(16u));
    if by_axis == 0u {
        var seen = vec4<u32>();
        for (var r = 0u; r < params.taps_h; r++) {
            let row = own.columns << vec4<u32>(r * params.taps_w);
            seen |= select(vec4<u32>(), row, (own.rows & vec4<u32>(1u << r)) != vec4<u32>());
        }
        cursor.seen = vec4<u32>(seen.xz | (seen.yw << vec2<u32>(16u)), 0u, 0u);
    }
    firsts[slot] = own.first;
    cursor.slot = slot;
    cursor.taps = params.taps_h * params.taps_w;
    let channel = b.term / max(cursor.taps, 1u);
    cursor.tap = b.term - channel * cursor.taps;
    cursor.channel = channel * params.plane;
    cursor.term = b.term;
    cursor.weights = open_weights(group, a);
    return looked_up(cursor, end);
}

// A cursor whose tap and channel are new.
fn looked_up(cursor: Cursor, end: u32) -> Cursor {
    var result = cursor;
    var at = cursor.tap;
    if whole == 0u {
        at = select(at, cursor.taps, cursor.term >= end);
    }
    let tap = taps[at];
    result.place = tap.place;
    result.weights = find_weights(cursor.weights, cursor.tap);
    let first = firsts[cursor.slot];
    result.index = min(first + (cursor.channel + tap.offset), vec4<u32>(params.last_source));
    return result;
}

fn next(cursor: Cursor, end: u32) -> Cursor {
    var result = cursor;
    let tap = cursor.tap + params.step_taps;
    let over = tap >= cursor.taps;
    // The difference wraps to a large number where the tap stays in its channel.
    result.tap = min(tap, tap - cursor.taps);
    result.channel = cursor.channel + params.step_plane + select(0u, params.plane, over);
    result.term = cursor.term + DEPTH;
    result.weights = next_weights(cursor.weights, over);
    return looked_up(result, end);
}

fn fetch_a(cursor: Cursor) -> vec4<f32> {
    return fetch_weights(cursor.weights);
}

fn keep_a(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    if whole == 1u {
        return value;
    }
    return keep_weights(cursor.weights, value, end);
}

fn fetch_b(cursor: Cursor) -> vec4<f32> {
    let at = cursor.index;
    return vec4<f32>(source[at.x], source[at.y], source[at.z], source[at.w]);
}

fn keep_b(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    var signs: vec4<i32>;
    if by_axis == 1u {
        let seen = bitcast<vec4<i32>>(cursor.seen);
        signs = (seen << vec4<u32>(cursor.place & 31u)) & (seen << vec4<u32>(cursor.place >> 16u));
    } else {
        let seen = bitcast<vec2<i32>>(cursor.seen.xy);
        let even = seen << vec2<u32>(cursor.place & 31u);
        let odd = seen << vec2<u32>((cursor.place & 31u) - 16u);
        signs = vec4<i32>(even.x, odd.x, even.y, odd.y);
    }
    return bitcast<vec4<f32>>(bitcast<vec4<i32>>(value) & (signs >> vec4<u32>(31u)));
}
