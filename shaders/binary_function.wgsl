// Provider of apply: 0 a + b, 1 a - b, 2 a * b, 3 relu mask (b where the activation a is positive or NaN, else 0).

fn apply(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    switch function {
        case 0u: {
            return a + b;
        }
        case 1u: {
            return a - b;
        }
        case 2u: {
            return a * b;
        }
        default: {
            return select(b, vec4<f32>(0.0), (a <= vec4<f32>(0.0)) & !is_nan4(a));
        }
    }
}
