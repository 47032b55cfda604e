// Provider of apply, the gradient of x from x, the target t and dy, of function number `function`
// as in loss/loss_function.wgsl. 0 to 3 are symmetric; 6 is the gradient of the target x of
// function 4 for the probability t.

fn apply(x: vec4<f32>, t: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>();
    let one = vec4<f32>(1.0);
    let d = x - t;
    let nan = is_nan4(d);
    let sign = select(select(zero, -dy, d < zero), dy, d > zero);
    let far = abs(d) >= vec4<f32>(params.k0);
    switch function {
        case 0u: {
            return 2.0 * d * dy;
        }
        case 1u: {
            return select(sign, d, nan);
        }
        case 2u: {
            return select(select(d * dy / params.k0, sign, far), d, nan);
        }
        case 3u: {
            return select(select(d * dy, params.k0 * sign, far), d, nan);
        }
        case 4u: {
            return select(dy * d / max(x * (one - x), vec4<f32>(1e-12)), x, is_nan4(x));
        }
        case 5u: {
            return select(dy * (sigmoid4(x) - t), x, is_nan4(x));
        }
        default: {
            return select(dy * (log1p_clamped4(-t) - log_clamped4(t)), t, is_nan4(t));
        }
    }
}
