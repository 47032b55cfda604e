// Provider of apply, the loss of x for target t: 0 squared error, 1 absolute error, 2 smooth l1 of
// beta k0 (k1 is 1 / beta), 3 huber of delta k0, 4 binary cross-entropy of a probability (k0 is
// NaN), 5 of a logit.

fn apply(x: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>();
    let one = vec4<f32>(1.0);
    switch function {
        case 0u: {
            return (x - t) * (x - t);
        }
        case 1u: {
            return abs(x - t);
        }
        case 2u: {
            let d = abs(x - t);
            return select(d - 0.5 * params.k0, 0.5 * d * d * params.k1, d < vec4<f32>(params.k0));
        }
        case 3u: {
            let d = abs(x - t);
            return select(params.k0 * (d - 0.5 * params.k0), 0.5 * d * d, d < vec4<f32>(params.k0));
        }
        case 4u: {
            let loss = -(t * log_clamped4(x) + (one - t) * log1p_clamped4(-x));
            return select(loss, vec4<f32>(params.k0), (x < zero) | (x > one) | is_nan4(x));
        }
        default: {
            let loss = abs(x) * select(one - t, t, x < zero) + log1p4(exp4(-abs(x)));
            return select(loss, x, is_nan4(x));
        }
    }
}
