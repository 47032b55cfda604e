// Numbers with 16 bits behind the point, as i32; multiply_wide comes from lib/philox.

// a * b, rounded to the nearest, halves up; wraps.
fn fixed_mul(a: i32, b: i32) -> i32 {
    let product = multiply_wide(bitcast<u32>(a), bitcast<u32>(b));
    // The high word of the signed product.
    let high = product.y - select(0u, bitcast<u32>(b), a < 0) - select(0u, bitcast<u32>(a), b < 0);
    let low = product.x + 0x8000u;
    let carried = high + select(0u, 1u, low < product.x);
    return bitcast<i32>((carried << 16u) | (low >> 16u));
}

// A number below limit from a random word: the word's share of it, rounded down.
fn below(word: u32, limit: u32) -> u32 {
    return multiply_wide(word, limit).y;
}
