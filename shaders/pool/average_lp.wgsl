// Provider of term, average and window_share: y = (elements of a whole window * mean of x^p)^(1/p),
// as PyTorch's lp_pool.

// Elements of a whole window for each one that was counted.
fn window_share(count: f32) -> f32 {
    let whole = f32(params.span_depth) * f32(params.span_height) * f32(params.span_width);
    return select(whole / count, 1.0, count == whole);
}

// x^p for p >= 0, as C's pow.
fn power(x: f32, p: f32) -> f32 {
    var rest = u32(p);
    if f32(rest) != p {
        return real_power(x, p);
    }
    var result = 1.0;
    var factor = x;
    while rest > 0u {
        if (rest & 1u) == 1u {
            result *= factor;
        }
        factor *= factor;
        rest = rest >> 1u;
    }
    return result;
}

// x^p for p > 0, no odd integer: NaN for x < 0, but infinity for -infinity. Adapters differ on log2
// of 0 and of infinity.
fn real_power(x: f32, p: f32) -> f32 {
    let size = abs(x);
    let positive = exp2(p * log2(size));
    return select(
        select(params.undefined, positive, x > 0.0), size, size == 0.0 || size > -LOWEST_F32
    );
}

fn term(x: f32) -> f32 {
    return power(x, params.power);
}

fn average(sum: f32, count: f32) -> f32 {
    let total = sum * window_share(count);
    if params.power == 1.0 {
        return total;
    }
    if params.power == 2.0 {
        return sqrt(total);
    }
    return real_power(total, params.root);
}
