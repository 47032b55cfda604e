// Provider of apply, function number `function` of one value; k0, k1 and k2 are its constants.
//
// 0 scale by k0, 1 relu, 2 clamp to [k0, k1], 3 leaky relu of slope k0, 4 elu, selu, celu: k1 x, or
// k0 expm1(k2 x) for x <= 0, 5 gelu, 6 gelu by tanh, 7 silu, 8 mish, 9 sigmoid, 10 tanh, 11
// softplus of beta k0, x itself where beta x > k1, 12 softsign, 13 hard sigmoid, 14 hard swish, 15
// abs, 16 exp, 17 log, 18 sqrt, 19 rsqrt, 20 reciprocal, 21 square, 22 |x|^k0, times k1 where x is
// negative: 1, -1 or NaN, which spares -0 and -inf, 23 sign, 24 floor, 25 ceil, 26 round, halves to
// even, 27 sin, 28 cos, 29 erf. NaN stays NaN in all of them but sign, where it is 0.

fn apply(x: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>();
    let one = vec4<f32>(1.0);
    var y = x;
    switch function {
        case 0u: {
            y = params.k0 * x;
        }
        case 1u: {
            y = relu4(x);
        }
        case 2u: {
            y = clamped4(x, params.k0, params.k1);
        }
        case 3u: {
            y = select(params.k0 * x, x, x > zero);
        }
        case 4u: {
            y = select(params.k0 * expm1_4(params.k2 * min(x, zero)), params.k1 * x, x > zero);
        }
        case 5u: {
            y = x * normal_cdf4(x);
        }
        case 6u: {
            y = x * sigmoid4(gelu_argument4(x));
        }
        case 7u: {
            y = x * sigmoid4(x);
        }
        case 8u: {
            // tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2), n = exp(x); in terms of 1 / n where x
            // is positive.
            let e = exp4(-abs(x));
            let w = select(one + 2.0 * e, e * (e + 2.0), x < zero);
            let two = select(2.0 * e * e, vec4<f32>(2.0), x < zero);
            y = x * (w / (w + two));
        }
        case 9u: {
            y = sigmoid4(x);
        }
        case 10u: {
            let t = expm1_4(-2.0 * abs(x));
            let y_abs = -t / (t + 2.0);
            y = select(y_abs, -y_abs, x < zero);
        }
        case 11u: {
            let z = params.k0 * x;
            let soft = (max(z, zero) + log1p4(exp4(-abs(z)))) / params.k0;
            y = select(soft, x, z > vec4<f32>(params.k1));
        }
        case 12u: {
            y = x / (one + abs(x));
        }
        case 13u: {
            y = clamped4(x + 3.0, 0.0, 6.0) * (1.0 / 6.0);
        }
        case 14u: {
            y = x * (clamped4(x + 3.0, 0.0, 6.0) * (1.0 / 6.0));
        }
        case 15u: {
            y = abs(x);
        }
        case 16u: {
            y = exp4(x);
        }
        case 17u: {
            y = log4(x);
        }
        case 18u: {
            y = sqrt(x);
        }
        case 19u: {
            y = inverseSqrt(x);
        }
        case 20u: {
            y = one / x;
        }
        case 21u: {
            y = x * x;
        }
        case 23u: {
            let one_or_less = select(select(zero, -one, x < zero), one, x > zero);
            return select(one_or_less, zero, is_nan4(x));
        }
        case 24u: {
            y = floor(x);
        }
        case 25u: {
            y = ceil(x);
        }
        case 26u: {
            y = round(x);
        }
        case 27u: {
            y = sine4(x, vec4<u32>());
        }
        case 28u: {
            y = sine4(x, vec4<u32>(1u));
        }
        case 29u: {
            y = erf4(x);
        }
        default: {
            let size = exp4(params.k0 * log4(abs(x)));
            let odd = vec4<bool>(params.k1 < 0.0);
            let signed = (bitcast<vec4<u32>>(x) >> vec4<u32>(31u)) == vec4<u32>(1u);
            let negative = (x < zero) & (x >= vec4<f32>(LOWEST_F32));
            y = select(size, size * params.k1, signed & (odd | negative));
        }
    }
    return select(y, x, is_nan4(x));
}
