// Provider of A_ALONG, pixels, tap_offset, Weights and the four functions of these for
// conv/pixels: dx = weight dy, the weights of four channels of x, as they lie when packed.
// Providers: second_quad (second_quads).

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

// The offset in dy of the tap whose row and column in the kernel are `place`.
fn tap_offset(place: vec2<u32>) -> u32 {
    let row = place.x * params.dilation_h / params.stride_h;
    return 0u - (row * params.out_width + place.y * params.dilation_w / params.stride_w);
}

// The same tap of four channels.
struct Weights {
    quad: u32,
    term: u32,
}

fn open_weights(group: u32, place: Place) -> Weights {
    let channel = min(place.line, params.m - 1u);
    let first = (group * params.k + place.term) * params.quads;
    return Weights(first + channel / 4u, place.term);
}

fn next_weights(weights: Weights) -> Weights {
    return Weights(weights.quad + DEPTH * params.quads, weights.term + DEPTH);
}

fn fetch_weights(weights: Weights) -> vec4<f32> {
    return second_quad(min(weights.quad, params.last_quad));
}

fn keep_weights(weights: Weights, value: vec4<f32>, end: u32) -> vec4<f32> {
    return select(vec4<f32>(), value, weights.term < end);
}
