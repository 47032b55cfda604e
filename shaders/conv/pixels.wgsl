// Provider of A_ALONG, B_ALONG, Cursor, prepare, open_cursor, next, fetch_* and keep_* for
// gemm/shared: convolutions whose columns are pixels, forward and for the gradient of the input.
//
// What tap (r, s) of a channel shows to a pixel lies at the pixel's own place + the tap's + the
// channel's. A list says for each tap which one follows a block of terms later, and how far off: a
// cursor walks by one addition. Whether something is there is a bit of the pixel. Places of
// pixels pass through workgroup memory, since registers are dearer.
//
//     seen (by_axis = 0)   taps 0 to 14 of pixel 1    taps 0 to 14 of pixel 0       (x; y: 3 and 2)
//     seen (by_axis = 1)   columns s, 0 to 14         rows r, 0 to 14               (of each pixel)
//                     bit  31 | 30 ... 16             15 | 14 ... 0
//
// Bits 15 and 31 are never set: they stand for terms past the last one.
// Overrides: by_axis (1 where there are more than 15 taps; along an axis at most 15 are), whole (1
// where vec4s of weights begin at one of the buffer's and runs of terms are multiples of 8: then
// nothing is shifted or checked).
// Providers: pixels, tap_offset, Weights, open_weights, next_weights, fetch_weights and
// keep_weights (conv/forward_cursor or conv/grad_input_cursor), gather, conv/params.

override by_axis: u32 = 0u;
override whole: u32 = 1u;
override listed: u32 = 15u + 210u * by_axis; // taps

const B_ALONG: bool = false;
const NEVER: vec2<u32> = vec2<u32>(16u, 0u); // places of bits 15 and 31

// What four pixels see: where the first tap of their first channel lies, should it be inside, and
// which of the rows and columns of taps are, a bit for each.
struct Pixels {
    first: vec4<u32>,
    rows: vec4<u32>,
    columns: vec4<u32>,
}

// The tap that follows another one a block of terms later.
struct Following {
    places: vec2<u32>,
    tap: u32,
    step: u32, // elements from the one to the other
}

var<workgroup> following: array<Following, listed>;
var<workgroup> firsts: array<vec4<u32>, slots>;

struct Cursor {
    weights: Weights,
    slot: u32, // of `firsts`
    seen: vec4<u32>,
    term: u32,
    tap: u32,
    places: vec2<u32>, // of the tap
    at: u32, // where it lies from the first tap of the first channel
    index: vec4<u32>, // what it shows to each pixel
}

// How far to the left the bits of a tap go to become signs: those of even and of odd pixels, or of
// its row and its column.
fn places(tap: u32) -> vec2<u32> {
    var bits = vec2<u32>(tap);
    if by_axis == 1u {
        bits.x = tap / params.taps_w;
        bits.y = tap - bits.x * params.taps_w;
    }
    return vec2<u32>(31u, 15u) - bits;
}

fn prepare(local: u32) {
    let count = params.taps_h * params.taps_w;
    for (var tap = local; tap < count; tap += workgroup_size) {
        var next = tap + params.step_taps;
        var channels = params.step_plane;
        if next >= count {
            next -= count;
            channels += params.plane;
        }
        let offset = tap_offset(tap_place(tap));
        let step = tap_offset(tap_place(next)) + channels - offset;
        following[tap] = Following(places(next), next, step);
    }
    workgroupBarrier();
}

fn open_cursor(group: u32, a: Place, b: Place, slot: u32) -> Cursor {
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
    let count = max(params.taps_h * params.taps_w, 1u);
    let channel = b.term / count;
    cursor.tap = b.term - channel * count;
    cursor.places = places(cursor.tap);
    cursor.at = channel * params.plane + tap_offset(tap_place(cursor.tap));
    cursor.index = min(own.first + cursor.at, vec4<u32>(params.last_source));
    cursor.term = b.term;
    cursor.weights = open_weights(group, a);
    return cursor;
}

fn next(cursor: Cursor) -> Cursor {
    var result = cursor;
    let tap = following[cursor.tap];
    result.tap = tap.tap;
    result.places = tap.places;
    let index = firsts[cursor.slot] + tap.step + cursor.at;
    result.index = min(index, vec4<u32>(params.last_source));
    result.at = cursor.at + tap.step;
    result.term = cursor.term + DEPTH;
    result.weights = next_weights(cursor.weights);
    return result;
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

fn kept(value: f32, sign: i32) -> f32 {
    return bitcast<f32>(bitcast<i32>(value) & (sign >> 31u));
}

fn keep_b(cursor: Cursor, value: vec4<f32>, end: u32) -> vec4<f32> {
    var places = cursor.places & vec2<u32>(31u);
    if whole == 0u && cursor.term >= end {
        places = NEVER;
    }
    var signs: vec4<i32>;
    if by_axis == 1u {
        let seen = bitcast<vec4<i32>>(cursor.seen);
        signs = (seen << vec4<u32>(places.x)) & (seen << vec4<u32>(places.y));
    } else {
        let seen = bitcast<vec2<i32>>(cursor.seen.xy);
        let even = seen << vec2<u32>(places.x);
        let odd = seen << vec2<u32>(places.y);
        signs = vec4<i32>(even.x, odd.x, even.y, odd.y);
    }
    // From the last one on: whoever waits for that has the others.
    let w = kept(value.w, signs.w);
    let z = kept(value.z, signs.z);
    let y = kept(value.y, signs.y);
    return vec4<f32>(kept(value.x, signs.x), y, z, w);
}
