// Provider of divisor and power: d of the load `at` of channel `channel`, and d to a power.

fn divisor(at: u32, channel: u32) -> Element {
    let first = channel - min(channel, params.before);
    let last = min(channel + params.after, params.channels - 1u);
    var sum = Element();
    var i = at - (channel - first) * params.plane;
    for (var c = first; c <= last; c++) {
        let x = x[i];
        sum += x * x;
        i += params.plane;
    }
    return Element(params.k) + params.alpha * sum;
}

// log2 and exp2 need not keep NaN.
fn power(d: Element, p: f32) -> Element {
    return select(exp2(p * log2(d)), d, is_nan_each(d));
}
