// Provider of Sums, first_sums, add, advanced, settled, block_end and store: number, mean and sum
// of squared deviations of a chunk, as (number, mean, squares, 0).
//
// Each component updates its mean and squares with every block of loads (Welford 1962; Chan, Golub
// and LeVeque 1983), from the sums of the block's deviations from the mean before it and of their
// squares. Elements count from the chunk's first one, so that a mean far from 0 costs no digits.
// With flag = 0 the mean is taken to be 0: squares is then the sum of squares.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

// Loads of a block.
const BLOCK: u32 = 16u;

struct Sums {
    number: f32,
    origin: Element,
    mean: Element,
    squares: Element,
    // Of the block's deviations, and of their squares.
    off: Element,
    spread: Element,
}

fn first_sums(at: u32) -> Sums {
    return Sums();
}

fn block_end(j: u32) -> u32 {
    return min(j + BLOCK * params.chunks, params.until);
}

fn add(sums: Sums, at: u32) -> Sums {
    let value = x[params.base + at];
    let first = params.flag == 1u && sums.number == 0.0;
    let origin = select(sums.origin, origin_of(value), first);
    let deviation = (value - origin) - sums.mean;
    return Sums(
        sums.number + 1.0,
        origin,
        sums.mean,
        sums.squares,
        sums.off + deviation,
        sums.spread + deviation * deviation,
    );
}

fn advanced(sums: Sums, over: bool) -> Sums {
    return sums;
}

// After a block: off / number is how far it moves the mean.
fn settled(sums: Sums) -> Sums {
    let moved = sums.off / sums.number;
    let centered = params.flag == 1u;
    return Sums(
        sums.number,
        sums.origin,
        select(sums.mean, sums.mean + moved, centered),
        sums.squares + select(sums.spread, sums.spread - sums.off * moved, centered),
        Element(),
        Element(),
    );
}

fn store(i: u32, sums: Sums) {
    put_moments(i, sums.number, sums.origin, sums.mean, sums.squares);
}

// Two chunks as one (Chan, Golub and LeVeque 1983), either of them possibly empty.
fn put(i: u32, moments: vec3<f32>) {
    var before = vec4<f32>();
    if params.resume == 1u {
        before = partials[i];
    }
    let number = before.x + moments.x;
    let share = moments.x / max(number, 1.0);
    let apart = moments.y - before.y;
    let squares = before.z + moments.z + apart * apart * before.x * share;
    partials[i] = vec4<f32>(number, before.y + apart * share, squares, 0.0);
}
