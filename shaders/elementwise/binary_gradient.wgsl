// Provider of apply, the gradient of operand a, whose other operand is b: 4 minimum, 5 maximum
// (equal operands share dy), 6 prelu of a with slope b, 7 prelu of b with slope a.

fn apply(a: vec4<f32>, b: vec4<f32>, dy: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>();
    let nan = is_nan4(a) | is_nan4(b);
    switch function {
        case 4u: {
            return select(select(dy, zero, (a > b) & !nan), 0.5 * dy, (a == b) & !nan);
        }
        case 5u: {
            return select(select(dy, zero, (a < b) & !nan), 0.5 * dy, (a == b) & !nan);
        }
        case 6u: {
            return select(b * dy, dy, (a > zero) & !is_nan4(a));
        }
        default: {
            return select(b * dy, zero, (b > zero) & !is_nan4(b));
        }
    }
}
