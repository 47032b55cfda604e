// Provider of Sums, add and store: number, mean and sum of squared deviations of a chunk, as (number, mean, squares, 0).
//
// Each component updates its mean and squares with every load (Welford 1962), relative to the chunk's first element, so that a
// mean far from 0 costs no digits. With flag = 0 the mean is taken to be 0: squares is then the sum of squares.

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

struct Sums {
    number: f32,
    origin: Element,
    mean: Element,
    squares: Element,
}

fn add(sums: Sums, at: u32) -> Sums {
    let value = x[params.base + at];
    let centered = params.flag == 1u;
    let origin = select(sums.origin, origin_of(value), centered && sums.number == 0.0);
    let number = sums.number + 1.0;
    let share = select(0.0, 1.0 / number, centered);
    let deviation = (value - origin) - sums.mean;
    let mean = sums.mean + share * deviation;
    let squares = sums.squares + deviation * ((value - origin) - mean);
    return Sums(number, origin, mean, squares);
}

fn store(i: u32, sums: Sums) {
    put_moments(i, sums.number, sums.origin, sums.mean, sums.squares);
}
