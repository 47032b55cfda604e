// Functions that WGSL lacks or leaves too coarse, four at a time. NaN gives anything: callers put
// it back by its bits.
//
// Errors are relative, u is 2^-24; those of exp and of division are WGSL's own (3 + 2|x| and 2.5
// units in the last place).

// exp(x); 0 where it would not be a normal number.
fn exp4(x: vec4<f32>) -> vec4<f32> {
    let tiny = x < vec4<f32>(-87.3);
    return select(exp(select(x, vec4<f32>(), tiny)), vec4<f32>(), tiny);
}

// exp(x) - 1. Below 1/2 in magnitude the Taylor series to x^8: its rest is less than 2^-26.
fn expm1_4(x: vec4<f32>) -> vec4<f32> {
    var p = x * (1.0 / 40320.0) + 1.0 / 5040.0;
    p = p * x + 1.0 / 720.0;
    p = p * x + 1.0 / 120.0;
    p = p * x + 1.0 / 24.0;
    p = p * x + 1.0 / 6.0;
    p = p * x + 0.5;
    return select(exp4(x) - 1.0, x + x * x * p, abs(x) < vec4<f32>(0.5));
}

// log((1 + s) / (1 - s)) = 2 artanh(s) for |s| <= 1/4: the series to s^11, whose rest is less than
// 2^-27.
fn log_ratio4(s: vec4<f32>) -> vec4<f32> {
    let z = s * s;
    var p = z * (1.0 / 11.0) + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    return 2.0 * s + 2.0 * s * (z * p);
}

// log(x): the exponent's share in two summands, the first exact, and that of a mantissa within
// [sqrt(1/2), sqrt(2)). Within 6 u, near 1 too. 0 gives -inf, infinity itself, a negative number
// NaN, all by their bits: the built-in function, which is left with subnormal numbers, does not
// promise them.
fn log4(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    let above = (bits & vec4<u32>(0x7fffffu)) > vec4<u32>(0x3504f3u);
    let one = select(vec4<u32>(0x3f800000u), vec4<u32>(0x3f000000u), above);
    let m = bitcast<vec4<f32>>((bits & vec4<u32>(0x7fffffu)) | one);
    let e = vec4<f32>(vec4<i32>(bits >> vec4<u32>(23u)) - vec4<i32>(127))
        + select(vec4<f32>(), vec4<f32>(1.0), above);
    let y = e * 0.693359375 + (log_ratio4((m - 1.0) / (m + 1.0)) - e * 2.12194440e-4);
    let zero = (bits & vec4<u32>(0x7fffffffu)) == vec4<u32>();
    let nan = (bits > vec4<u32>(0x7f800000u)) & !zero;
    let limit = select(bits, bits | vec4<u32>(0xff800000u), zero);
    let special = bitcast<vec4<f32>>(select(limit, bits | vec4<u32>(0x7fc00000u), nan));
    let small = bits < vec4<u32>(0x00800000u);
    let normal = !small & (bits < vec4<u32>(0x7f800000u));
    return select(select(special, log(x), small & !zero), y, normal);
}

// log(1 + x) for x >= -1, within 8 u.
fn log1p4(x: vec4<f32>) -> vec4<f32> {
    let small = (x > vec4<f32>(-0.4)) & (x < vec4<f32>(0.6));
    return select(log4(1.0 + x), log_ratio4(x / (2.0 + x)), small);
}

// 1 / (1 + exp(-x)).
fn sigmoid4(x: vec4<f32>) -> vec4<f32> {
    let e = exp4(-abs(x));
    return select(vec4<f32>(1.0), e, x < vec4<f32>()) / (1.0 + e);
}

// The distribution function of N(0, 1), erfc(-x / sqrt(2)) / 2. erfc(z) = t p(t) exp(-z^2) with t =
// 1 / (1 + z / 2): p interpolates at nine Chebyshev nodes of 0 <= z <= 10.5 and is within 0.9 u
// there.
fn normal_cdf4(x: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.35355339059 * abs(x));
    var p = t * -0.060012805 + 0.289165503;
    p = p * t - 0.496626929;
    p = p * t + 0.28869413;
    p = p * t - 0.033780713;
    p = p * t + 0.205616343;
    p = p * t + 0.242395722;
    p = p * t + 0.282467166;
    p = p * t + 0.28208154;
    let tail = 0.5 * t * p * exp4(-0.5 * x * x);
    return select(1.0 - tail, tail, x < vec4<f32>());
}

// 2 sqrt(2 / pi) (x + 0.044715 x^3): gelu by tanh is x times the sigmoid of this.
fn gelu_argument4(x: vec4<f32>) -> vec4<f32> {
    return x * (1.5957691216 + 0.0713548163 * x * x);
}

// min(max(x, low), high).
fn clamped4(x: vec4<f32>, low: f32, high: f32) -> vec4<f32> {
    let y = select(x, vec4<f32>(low), x < vec4<f32>(low));
    return select(y, vec4<f32>(high), y > vec4<f32>(high));
}

// max(log(x), -100) for x >= 0.
fn log_clamped4(x: vec4<f32>) -> vec4<f32> {
    return select(max(log4(x), vec4<f32>(-100.0)), vec4<f32>(-100.0), x <= vec4<f32>());
}

// max(log(1 + x), -100) for x >= -1.
fn log1p_clamped4(x: vec4<f32>) -> vec4<f32> {
    return select(max(log1p4(x), vec4<f32>(-100.0)), vec4<f32>(-100.0), x <= vec4<f32>(-1.0));
}
