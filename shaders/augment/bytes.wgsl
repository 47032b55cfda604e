// Provider of byte_of: the byte that an element stands for, the nearest, halves up; 0 for NaN.

fn byte_of(x: f32) -> i32 {
    let inside = select(clamp(x, 0.0, 255.0), 0.0, is_nan(x));
    let whole = floor(inside);
    return i32(whole) + select(0, 1, inside - whole >= 0.5);
}
