// Provider of Sums, add and store: number, mean and sum of squared deviations of a chunk, as
// (number, mean, squares, 0).
//
// Each component updates its mean and squares with every load (Welford 1962), relative to the
// chunk's first element, so that a mean far from 0 costs no digits. With flag = 0 the mean is taken
// to be 0: squares is then the sum of squares.

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
    let deviation = (value - origin) - sums.mean;
    let mean = select(sums.mean, sums.mean + deviation * (1.0 / number), centered);
    let squares = sums.squares + deviation * ((value - origin) - mean);
    return Sums(number, origin, mean, squares);
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
