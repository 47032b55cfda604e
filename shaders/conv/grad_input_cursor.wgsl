// Provider of A_ALONG, Pixels, pixels, tap_offset, Weights and the four functions of these for
// conv/pixels: dx = weight dy, the weights of four channels of x, `taps` elements apart.
// Providers: second_element (second_elements).

const A_ALONG: bool = false;

// What four input pixels see of dy. With down = row + pad_h, tap r shows row
// (down - r dilation_h) / stride_h where that has no rest, and then it is down / stride_h - r
// dilation_h / stride_h, each rounded down.
struct Pixels {
    first: vec4<u32>,
    rows: vec4<u32>,
    columns: vec4<u32>,
}

fn pixels(group: u32, line: u32) -> Pixels {
    let own = columns(group, line);
    var result: Pixels;
    result.first = own.image
        + own.row / params.stride_h * params.out_width
        + own.column / params.stride_w;
    for (var r = 0u; r < params.kernel_h; r++) {
        let inside =
            on_grid(own.row, r * params.dilation_h, params.stride_h, params.out_height);
        result.rows |= select(vec4<u32>(), vec4<u32>(1u << r), inside);
    }
    for (var s = 0u; s < params.kernel_w; s++) {
        let inside =
            on_grid(own.column, s * params.dilation_w, params.stride_w, params.out_width);
        result.columns |= select(vec4<u32>(), vec4<u32>(1u << s), inside);
    }
    return result;
}

fn on_grid(own: vec4<u32>, tap: u32, stride: u32, extent: u32) -> vec4<bool> {
    let place = (own - tap) / stride;
    return (own >= vec4<u32>(tap)) & (place * stride == own - tap) & (place < vec4<u32>(extent));
}

fn tap_offset(r: u32, s: u32) -> u32 {
    let row = r * params.dilation_h / params.stride_h;
    return 0u - (row * params.out_width + s * params.dilation_w / params.stride_w);
}

// The same tap of four channels: where that of the first one lies.
struct Weights {
    at: u32,
    term: u32,
    index: vec4<u32>,
}

fn open_weights(group: u32, place: Place) -> Weights {
    let count = params.kernel_h * params.kernel_w;
    let out = place.term / count;
    let channel = min(place.line, params.m - 1u);
    let own = (group * params.outs + out) * params.channels + channel;
    return weights_at(own * count + place.term - out * count, place.term);
}

fn next_weights(weights: Weights, over: bool) -> Weights {
    let step = params.step_weight + select(0u, params.carry_weight, over);
    return weights_at(weights.at + step, weights.term + DEPTH);
}

fn weights_at(at: u32, term: u32) -> Weights {
    let next = vec4<u32>(0u, 1u, 2u, 3u) * (params.kernel_h * params.kernel_w);
    return Weights(at, term, min(at + next, vec4<u32>(params.last_weight)));
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
