// Provider of apply, function number `function` of two values: 0 a + b, 1 a - b, 2 a * b, 3 a / b,
// 4 minimum, 5 maximum, 6 prelu of a with slope b.

fn apply(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>();
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
        case 3u: {
            return a / b;
        }
        case 4u: {
            return select(select(b, a, (a < b) | is_nan4(a)), b, is_nan4(b));
        }
        case 5u: {
            return select(select(b, a, (a > b) | is_nan4(a)), b, is_nan4(b));
        }
        default: {
            return select(b * a, a, (a > zero) & !is_nan4(a));
        }
    }
}
