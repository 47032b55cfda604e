// Provider of Sums, first_sums, add, advanced, settled, block_end and store: sum of g and of g * (x
// - mean) * scale over a chunk, g being dy or, with flag = 1, weight * dy.

const TABLE: u32 = 2u;

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

struct Sums {
    plain: Element,
    scaled: Element,
    // Of the next load.
    mean: Element,
    scale: Element,
    weight: Element,
    // Of what changes from load to load: its number, and the loads before this one that share it.
    number: u32,
    rest: u32,
}

fn first_sums(at: u32) -> Sums {
    let own = statistic_of(statistic_number(at));
    var weight = Element(1.0);
    if params.flag == 1u {
        weight = affine_of(params.weights, affine_number(at));
    }
    let weights = params.moves == 2u;
    let length = select(params.statistic_length, params.span, weights);
    let number = select(statistic_number(at), affine_number(at), weights);
    let rest = at - quotient(at, length) * length;
    return Sums(Element(), Element(), own.mean, own.scale, weight, number, rest);
}

fn block_end(j: u32) -> u32 {
    return params.until;
}

fn add(sums: Sums, at: u32) -> Sums {
    var s = sums;
    if params.moves == 1u {
        let own = statistic_of(s.number);
        s.mean = own.mean;
        s.scale = own.scale;
    }
    if params.moves == 2u {
        s.weight = affine_of(params.weights, s.number);
    }
    let g = dy[params.base + at] * s.weight;
    let normal = (x[params.base + at] - s.mean) * s.scale;
    s.plain += g;
    s.scaled += g * normal;
    return s;
}

fn advanced(sums: Sums, over: bool) -> Sums {
    var s = sums;
    if params.moves != 0u {
        let weights = params.moves == 2u;
        let length = select(params.statistic_length, params.span, weights);
        let count = select(params.statistics, params.affines, weights);
        s.rest += select(params.step_rest, params.step_over_rest, over);
        s.number += select(params.step_numbers, params.step_over_numbers, over);
        if s.rest >= length {
            s.rest -= length;
            s.number += 1u;
        }
        if s.number >= count {
            s.number -= count;
        }
    }
    return s;
}

fn settled(sums: Sums) -> Sums {
    return sums;
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
