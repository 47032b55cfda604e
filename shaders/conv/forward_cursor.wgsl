// Provider of A_ALONG, pixels, tap_offset, Weights and the four functions of these for
// conv/pixels: y = weight x, the weights along a filter.
// Providers: second_quad (second_quads), shifted.

const A_ALONG: bool = true;

// What four output pixels see of x.
fn pixels(group: u32, line: u32) -> Pixels {
    let own = columns(group, line);
    var result: Pixels;
    result.first = own.image + own.row * params.width + own.column;
    for (var r = 0u; r < params.kernel_h; r++) {
        let inside = own.row + r * params.dilation_h < vec4<u32>(params.height);
        result.rows |= select(vec4<u32>(), vec4<u32>(1u << r), inside);
    }
    for (var s = 0u; s < params.kernel_w; s++) {
        let inside = own.column + s * params.dilation_w < vec4<u32>(params.width);
        result.columns |= select(vec4<u32>(), vec4<u32>(1u << s), inside);
    }
    return result;
}

// The offset of the tap whose row and column in the kernel are `place`.
fn tap_offset(place: vec2<u32>) -> u32 {
    return place.x * params.dilation_h * params.width + place.y * params.dilation_w;
}

// Four weights of a filter: the vec4 in which the first one lies, and where that is exactly.
struct Weights {
    quad: u32,
    at: u32,
    term: u32,
}

fn open_weights(group: u32, place: Place) -> Weights {
    let own = group * params.m + min(place.line, params.m - 1u);
    let at = own * params.k + place.term;
    return Weights(min(at / 4u, params.last_quad), at, place.term);
}

fn next_weights(weights: Weights) -> Weights {
    let at = weights.at + DEPTH;
    var quad = weights.quad + DEPTH / 4u;
    if whole == 0u {
        quad = at / 4u;
    }
    return Weights(min(quad, params.last_quad), at, weights.term + DEPTH);
}

fn fetch_weights(weights: Weights) -> vec4<f32> {
    let v = second_quad(weights.quad);
    if whole == 1u {
        return v;
    }
    return shifted(v, second_quad(min(weights.quad + 1u, params.last_quad)), weights.at);
}

fn keep_weights(weights: Weights, value: vec4<f32>, end: u32) -> vec4<f32> {
    let terms = weights.term + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(), value, terms < vec4<u32>(end));
}
