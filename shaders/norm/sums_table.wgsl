// Provider of put: the sums go into the table as means (see norm_table), the plain one times
// `plain`, the scaled one times `scaled`; with weigh = 1 times the weight of the set too, whose
// number is then that of the set. A sum times 0 is not read: it may be infinite.

struct Params {
    grid: Grid,
    sets: u32,
    chunks: u32,
    weights: u32,
    weigh: u32,
    plain: f32,
    scaled: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> table: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn put(own: u32, sums: vec2<f32>) {
    var weight = 1.0;
    if params.weigh == 1u {
        weight = table[params.weights + own / 4u][own % 4u];
    }
    let factors = vec2<f32>(params.plain, params.scaled);
    let none = vec2<f32>();
    let means = select(weight * sums * factors, none, factors == none);
    table[own] = vec4<f32>(table[own].xy, means);
}
