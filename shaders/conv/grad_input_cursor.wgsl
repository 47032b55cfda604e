// Provider of A_ALONG, pixels, list_tap, Weights and the five functions of these for
// conv/pixels: dx = weight dy, the weights of four channels of x, a filter's taps apart.
// Providers: second_element (second_elements).

const A_ALONG: bool = false;

// What four input pixels see of dy. With down = row + pad_h, tap r shows row
// (down - r dilation_h) / stride_h where that has no rest, and then it is down / stride_h - r
// dilation_h / stride_h, each rounded down.
fn pixels(group: u32, line: u32) -> Pixels {
    let own = columns(group, line);
    var result: Pixels;
    result.first = own.image
        + own.row / params.stride_h * params.out_width
        + own.column / params.stride_w;
    for (var r = 0u; r < params.taps_h; r++) {
        let tap = (params.first_tap_h + r * params.step_tap_h) * params.dilation_h;
        let inside = on_grid(own.row, tap, params.stride_h, params.out_height);
        result.rows |= select(vec4<u32>(), vec4<u32>(1u << r), inside);
    }
    for (var s = 0u; s < params.taps_w; s++) {
        let tap = (params.first_tap_w + s * params.step_tap_w) * params.dilation_w;
        let inside = on_grid(own.column, tap, params.stride_w, params.out_width);
        result.columns |= select(vec4<u32>(), vec4<u32>(1u << s), inside);
    }
    return result;
}

fn on_grid(own: vec4<u32>, tap: u32, stride: u32, extent: u32) -> vec4<bool> {
    let place = (own - tap) / stride;
    return (own >= vec4<u32>(tap)) & (place * stride == own - tap) & (place < vec4<u32>(extent));
}

// Where each tap lies in a filter's channel.
var<workgroup> tap_weights: array<u32, listed>;

// The offset in dy of a tap, whose row and column in the kernel are `place`.
fn list_tap(tap: u32, place: vec2<u32>) -> u32 {
    tap_weights[tap] = place.x * params.kernel_w + place.y;
    let row = place.x * params.dilation_h / params.stride_h;
    return 0u - (row * params.out_width + place.y * params.dilation_w / params.stride_w);
}

// The same tap of four channels: where their first filter's begins, and where it is.
struct Weights {
    first: u32,
    term: u32,
    index: vec4<u32>,
}

fn open_weights(group: u32, place: Place) -> Weights {
    let out = place.term / max(params.taps_h * params.taps_w, 1u);
    let channel = min(place.line, params.m - 1u);
    let own = (group * params.outs + out) * params.channels + channel;
    return Weights(own * params.kernel_h * params.kernel_w, place.term, vec4<u32>());
}

fn next_weights(weights: Weights, over: bool) -> Weights {
    let filters = params.channels * params.kernel_h * params.kernel_w;
    let step = params.step_weight + select(0u, filters, over);
    return Weights(weights.first + step, weights.term + DEPTH, weights.index);
}

fn find_weights(weights: Weights, tap: u32) -> Weights {
    let next = vec4<u32>(0u, 1u, 2u, 3u) * (params.kernel_h * params.kernel_w);
    let at = weights.first + tap_weights[tap] + next;
    return Weights(weights.first, weights.term, min(at, vec4<u32>(params.last_weight)));
}

fn fetch_weights(weights: Weights) -> vec4<f32> {
    let at = weights.index;
    return vec4<f32>(
        second_element(at.x), second_element(at.y), second_element(at.z), second_element(at.w)
    );
}

fn keep_weights(weights: Weights, value: vec4<f32>, end: u32) -> vec4<f32> {
    return select(vec4<f32>(), value, weights.term < end);
}
