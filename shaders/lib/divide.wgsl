// Integer division by floats: CPU adapters divide integers lane by lane but floats eight at a time,
// and GPUs have no integer division.

// n / d for n < 2^31 and 0 < d. A conversion is off by at most 2^-23 of its value and a division by
// 2.5 ULP, 2.5 * 2^-23 of it, so a quotient of floats is off by less than n / d * 2^-20. The rest
// is then less than d + 2^11 in magnitude, its own quotient less than 2^11 + 1 and off by less than
// 2^-8, which its floor turns into at most one, which is corrected.
fn quotient(n: u32, d: u32) -> u32 {
    let rough = u32(f32(n) / f32(d));
    let rest = bitcast<i32>(n - rough * d);
    return corrected(n, d, bitcast<u32>(bitcast<i32>(rough) + i32(floor(f32(rest) / f32(d)))));
}

// n / d where q is that or one beside it.
fn corrected(n: u32, d: u32, q: u32) -> u32 {
    let r = n - q * d;
    return select(select(q, q + 1u, r >= d), q - 1u, r >= 0x80000000u);
}

// The same where many n have one d, unit = 1.0 / f32(d): a product is off by half an ULP more than
// a division, which leaves all of the above as it is.
fn quotient_by(n: u32, d: u32, unit: f32) -> u32 {
    let rough = u32(f32(n) * unit);
    let rest = bitcast<i32>(n - rough * d);
    return corrected(n, d, bitcast<u32>(bitcast<i32>(rough) + i32(floor(f32(rest) * unit))));
}
