// Integer division for CPU adapters, which divide integers lane by lane but floats eight at a time.

// n / d for n < 2^31 and 0 < d: a quotient of floats is off by at most n / d * 2^-22, the quotient of what remains by one.
fn quotient(n: u32, d: u32) -> u32 {
    let rough = u32(f32(n) / f32(d));
    let rest = bitcast<i32>(n - rough * d);
    let q = bitcast<u32>(bitcast<i32>(rough) + i32(floor(f32(rest) / f32(d))));
    let r = n - q * d;
    return select(select(q, q + 1u, r >= d), q - 1u, r >= 0x80000000u);
}
