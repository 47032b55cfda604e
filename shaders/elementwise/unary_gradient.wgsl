// Provider of apply: the gradient of x from dy and what the forward function saved, s, its x or its
// y.
//
// Function numbers and constants are those of elementwise/unary_function.wgsl, but 0 a clamp that
// stops NaN (x):
// 1 relu (s is y), 2 clamp (y), 3 leaky relu (y, or x for negative slopes), 4 elu, selu, celu (x),
// 5 gelu (x), 6 gelu by tanh (x), 7 silu (x), 8 mish (x), 9 sigmoid (y), 10 tanh (y), 11 softplus
// (x), 12 softsign (x), 13 hard sigmoid (x), 14 hard swish (x), 15 abs (x). A function that is
// constant around s gives 0 whatever dy is.

fn apply(s: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>();
    let one = vec4<f32>(1.0);
    let three = vec4<f32>(3.0);
    let nan = is_nan4(s);
    let low = vec4<f32>(params.k0);
    let high = vec4<f32>(params.k1);
    // The derivative, of those that are smooth.
    var slope = one;
    switch function {
        case 1u: {
            return select(dy, zero, (s <= zero) & !nan);
        }
        case 2u: {
            return select(dy, zero, ((s <= low) | (s >= high)) & !nan);
        }
        case 3u: {
            return select(params.k0 * dy, dy, (s > zero) & !nan);
        }
        case 13u: {
            return select(zero, dy * (1.0 / 6.0), (s > -three) & (s < three) & !nan);
        }
        case 14u: {
            let inner = select(dy, dy * (s * (1.0 / 3.0) + 0.5), (s < three) & !nan);
            return select(inner, zero, (s <= -three) & !nan);
        }
        case 15u: {
            return select(select(zero, -dy, (s < zero) & !nan), dy, (s > zero) & !nan);
        }
        case 0u: {
            return select(zero, dy, (s > low) & (s < high) & !nan);
        }
        case 4u: {
            slope = select(params.k0 * params.k2 * exp4(params.k2 * min(s, zero)), high, s > zero);
        }
        case 5u: {
            slope = normal_cdf4(s) + s * (0.3989422804 * exp4(-0.5 * s * s));
        }
        case 6u: {
            let z = gelu_argument4(s);
            let rest = sigmoid4(z) * sigmoid4(-z);
            slope = sigmoid4(z) + s * (rest * (1.5957691216 + 0.2140644488 * s * s));
        }
        case 7u: {
            slope = sigmoid4(s) * (one + s * sigmoid4(-s));
        }
        case 8u: {
            // With e = exp(-|s|), mish is s w / d, and 1 - (w / d)^2 is 4 (1 + e)^2 / d^2, times
            // e^2 where s is positive.
            let e = exp4(-abs(s));
            let negative = s < zero;
            let w = select(one + 2.0 * e, e * (e + 2.0), negative);
            let d = w + select(2.0 * e * e, vec4<f32>(2.0), negative);
            let root = 2.0 * (one + e) * select(e, one, negative) / d;
            slope = w / d + s * (root * root * sigmoid4(s));
        }
        case 9u: {
            slope = s * (one - s);
        }
        case 10u: {
            slope = (one - s) * (one + s);
        }
        case 11u: {
            let z = params.k0 * s;
            slope = select(sigmoid4(z), one, z > high);
        }
        default: {
            let d = one + abs(s);
            slope = one / (d * d);
        }
    }
    return select(dy * slope, s, nan);
}
