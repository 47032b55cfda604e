// Provider of Sums, add and store: sum of g and of g * (x - mean) * scale over a chunk, g being dy
// or, with flag = 1, weight * dy.

const TABLE: u32 = 2u;

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

struct Sums {
    plain: Element,
    scaled: Element,
}

fn add(sums: Sums, at: u32) -> Sums {
    let own = statistic_at(at);
    var g = dy[params.base + at];
    if params.flag == 1u {
        g = g * affine_at(params.weights, at);
    }
    let normal = (x[params.base + at] - own.mean) * own.scale;
    return Sums(sums.plain + g, sums.scaled + g * normal);
}

fn store(i: u32, sums: Sums) {
    put_sums(i, sums.plain, sums.scaled);
}

fn put(i: u32, sums: vec2<f32>) {
    var before = vec2<f32>();
    if params.resume == 1u {
        before = partials[i];
    }
    partials[i] = before + sums;
}
