// Provider of Element, origin_of and put_moments: a load is one element.

alias Element = f32;

fn origin_of(x: f32) -> f32 {
    return x;
}

fn put_moments(i: u32, number: f32, origin: f32, mean: f32, squares: f32) {
    put(i, vec3<f32>(number, origin + mean, squares));
}
