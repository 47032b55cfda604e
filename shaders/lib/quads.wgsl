// Provider of Element, is_nan_each, sum_of and largest_of: a load is four elements.

alias Element = vec4<f32>;

fn sum_of(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

fn largest_of(x: vec4<f32>) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

fn is_nan_each(x: vec4<f32>) -> vec4<bool> {
    return is_nan4(x);
}
