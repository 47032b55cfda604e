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

// log(1 + x) for sqrt(1/2) <= 1 + x < sqrt(2), within 1.3 u: Cephes, logf.c.
fn log_near4(x: vec4<f32>) -> vec4<f32> {
    let z = x * x;
    var p = x * 7.0376836292e-2 - 1.1514610310e-1;
    p = p * x + 1.1676998740e-1;
    p = p * x - 1.2420140846e-1;
    p = p * x + 1.4249322787e-1;
    p = p * x - 1.6668057665e-1;
    p = p * x + 2.0000714765e-1;
    p = p * x - 2.4999993993e-1;
    p = p * x + 3.3333331174e-1;
    return x + (x * z * p - 0.5 * z);
}

// log(x): the exponent's share in two summands, the first exact, and that of a mantissa within
// [sqrt(1/2), sqrt(2)). Within 2 u, near 1 too. 0 gives -inf, infinity itself, a negative number
// NaN, all by their bits: the built-in function, which is left with subnormal numbers, does not
// promise them.
fn log4(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    let above = (bits & vec4<u32>(0x7fffffu)) > vec4<u32>(0x3504f3u);
    let one = select(vec4<u32>(0x3f800000u), vec4<u32>(0x3f000000u), above);
    let m = bitcast<vec4<f32>>((bits & vec4<u32>(0x7fffffu)) | one);
    let e = vec4<f32>(vec4<i32>(bits >> vec4<u32>(23u)) - vec4<i32>(127))
        + select(vec4<f32>(), vec4<f32>(1.0), above);
    let y = e * 0.693359375 + (log_near4(m - 1.0) - e * 2.12194440e-4);
    let zero = (bits & vec4<u32>(0x7fffffffu)) == vec4<u32>();
    let nan = (bits > vec4<u32>(0x7f800000u)) & !zero;
    let limit = select(bits, bits | vec4<u32>(0xff800000u), zero);
    let special = bitcast<vec4<f32>>(select(limit, bits | vec4<u32>(0x7fc00000u), nan));
    let small = bits < vec4<u32>(0x00800000u);
    let normal = !small & (bits < vec4<u32>(0x7f800000u));
    return select(select(special, log(x), small & !zero), y, normal);
}

// log(1 + x) for x >= -1, within 4 u.
fn log1p4(x: vec4<f32>) -> vec4<f32> {
    let small = (x > vec4<f32>(-0.29)) & (x < vec4<f32>(0.41));
    return select(log4(1.0 + x), log_near4(x), small);
}

// 1 / (1 + exp(-x)).
fn sigmoid4(x: vec4<f32>) -> vec4<f32> {
    let e = exp4(-abs(x));
    return select(vec4<f32>(1.0), e, x < vec4<f32>()) / (1.0 + e);
}

// exp(z^2) erfc(z) for z >= 0 as t p(t), given t = 1 / (1 + z / 2): the form of Press et al.,
// Numerical Recipes, 6.2.2. p interpolates at nine Chebyshev nodes of 0 <= z <= 10.5 and is within
// 0.9 u there.
fn scaled_erfc4(t: vec4<f32>) -> vec4<f32> {
    var p = t * -0.060012805 + 0.289165503;
    p = p * t - 0.496626929;
    p = p * t + 0.28869413;
    p = p * t - 0.033780713;
    p = p * t + 0.205616343;
    p = p * t + 0.242395722;
    p = p * t + 0.282467166;
    p = p * t + 0.28208154;
    return t * p;
}

// The distribution function of N(0, 1), erfc(-x / sqrt(2)) / 2.
fn normal_cdf4(x: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.35355339059 * abs(x));
    let tail = 0.5 * scaled_erfc4(t) * exp4(-0.5 * x * x);
    return select(1.0 - tail, tail, x < vec4<f32>());
}

// erf(x): below 1/2 in magnitude the Taylor series to x^13, whose rest is less than 2^-30, above 1
// - erfc(|x|), signed.
fn erf4(x: vec4<f32>) -> vec4<f32> {
    let z = x * x;
    var p = z * (1.0 / 9360.0) - 1.0 / 1320.0;
    p = p * z + 1.0 / 216.0;
    p = p * z - 1.0 / 42.0;
    p = p * z + 0.1;
    p = p * z - 1.0 / 3.0;
    let near = 1.1283791671 * (x + x * (z * p));
    let far = 1.0 - scaled_erfc4(1.0 / (1.0 + 0.5 * abs(x))) * exp4(-z);
    return select(select(far, -far, x < vec4<f32>()), near, abs(x) < vec4<f32>(0.5));
}

// sin(x + turns pi / 2) for all finite x: with q the nearest integer to x / (pi / 2), the rest r =
// x - q pi / 2 lies within pi / 4, where sine and cosine are polynomials (Cephes, sinf.c, within 1
// u). Up to 8192 pi / 2 in magnitude q pi / 2 is subtracted in three summands (Cody and Waite), two
// of which are exact; above, r comes from those digits of 2 / pi that count (Payne and Hanek).
// Within 2^-22 of the exact one. NaN for infinities.
fn sine4(x: vec4<f32>, turns: vec4<u32>) -> vec4<f32> {
    let near = abs(x) <= vec4<f32>(12867.0);
    let inner = select(vec4<f32>(), x, near);
    let whole = round(inner * 0.63661977237);
    var r = ((inner - whole * 1.5703125) - whole * 4.837512969970703125e-4)
        - whole * 7.54978995489188e-8;
    var q = bitcast<vec4<u32>>(vec4<i32>(whole));
    let bits = bitcast<vec4<u32>>(x);
    if !all(near) {
        let far = vec4<u32>(
            far_turns(bits.x), far_turns(bits.y), far_turns(bits.z), far_turns(bits.w)
        );
        // In units of 2^-32 quarters, the nearest one being 0.
        let rest = vec4<f32>(bitcast<vec4<i32>>(far << vec4<u32>(2u))) * 3.657295198e-10;
        let quarter = (far + vec4<u32>(1u << 29u)) >> vec4<u32>(30u);
        let negative = bits >= vec4<u32>(0x80000000u);
        r = select(select(rest, -rest, negative), r, near);
        q = select(select(quarter, vec4<u32>() - quarter, negative), q, near);
    }
    q += turns;
    let z = r * r;
    let s = (z * -1.9515295891e-4 + 8.3321608736e-3) * z - 1.6666654611e-1;
    let c = (z * 2.443315711809948e-5 - 1.388731625493765e-3) * z + 4.166664568298827e-2;
    let odd = (q & vec4<u32>(1u)) == vec4<u32>(1u);
    let y = select(r + r * (z * s), 1.0 - 0.5 * z + z * z * c, odd);
    let signed = select(y, -y, (q & vec4<u32>(2u)) == vec4<u32>(2u));
    let infinite = (bits & vec4<u32>(0x7f800000u)) == vec4<u32>(0x7f800000u);
    return bitcast<vec4<f32>>(
        select(bitcast<vec4<u32>>(signed), vec4<u32>(0x7fc00000u), infinite)
    );
}

// |x| / (pi / 2) of a number beyond 2^13, given by its bits, mod 4, in units of 2^-30: within 4 of
// them. |x| is m 2^e. Digits of 2 / pi before number e - 2 make multiples of 4, those from e + 62
// on less than 2^-38.
fn far_turns(bits: u32) -> u32 {
    let m = (bits & 0x7fffffu) | 0x800000u;
    let at = ((bits >> 23u) & 0xffu) - 152u;
    let low = two_over_pi(at + 32u);
    // The high word of m times the second 32 digits.
    let high = (m >> 16u) * (low >> 16u)
        + (((m >> 16u) * (low & 0xffffu)) >> 16u)
        + (((m & 0xffffu) * (low >> 16u)) >> 16u);
    return m * two_over_pi(at) + high;
}

// 32 binary digits of 2 / pi from number `at` on, which wraps below 0; the first behind the point
// is number 0.
fn two_over_pi(at: u32) -> u32 {
    var digits = array<u32, 7>(
        0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u,
    );
    let start = at + 32u;
    let word = min(start / 32u, 5u);
    let shift = start % 32u;
    return (digits[word] << shift) | ((digits[word + 1u] >> 1u) >> (31u - shift));
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
