// Provider of updated and Params: t = clock step + 1; m = beta1 * m + rest1 * g; v = beta2 * v +
// rest2 * g^2, unless v is given; p * (1 - lr * decay) - lr / (1 - beta1^t) * m / (sqrt(v / (1 -
// beta2^t)) + eps).

struct Params {
    grid: Grid,
    quads: u32,
    rate: f32,
    clip: f32,
    weight_decay: f32,
    decay: f32,
    beta1: f32,
    rest1: f32,
    log_beta1: f32,
    beta2: f32,
    rest2: f32,
    log_beta2: f32,
    eps: f32,
    given: f32,
}

@group(0) @binding(5) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> square: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> params: Params;

// 1 - exp(x) for x <= 0, without cancellation near 0: Taylor's series to x^7.
fn one_minus_exp(x: f32) -> f32 {
    let series = -x
        * (
            1.0
                + x
                    / 2.0
                    * (
                        1.0
                            + x
                                / 3.0
                                * (
                                    1.0
                                        + x
                                            / 4.0
                                            * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0)))
                                )
                    )
        );
    return select(1.0 - exp(x), series, x > -0.35);
}

fn updated(i: u32, p: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let t = f32(clock.z) + 1.0;
    let rate = lr * params.rate;
    let rest = one_minus_exp(t * params.log_beta2);
    let m = params.beta1 * mean[i] + params.rest1 * g;
    mean[i] = m;
    let before = square[i];
    let v = select(params.beta2 * before + params.rest2 * g * g, before, params.given == 1.0);
    square[i] = v;
    return p * (1.0 - rate * params.decay)
        - rate / one_minus_exp(t * params.log_beta1) * m / (sqrt(v / rest) + params.eps);
}
