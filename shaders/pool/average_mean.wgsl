// Provider of term and average: the mean of a window.

fn term(x: f32) -> f32 {
    return x;
}

fn average(sum: f32, count: f32) -> f32 {
    return sum / select(f32(params.divisor), count, params.divisor == 0u);
}
