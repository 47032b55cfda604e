// Provider of Element and is_nan_each: a load is four elements.

alias Element = vec4<f32>;

fn is_nan_each(x: vec4<f32>) -> vec4<bool> {
    return is_nan4(x);
}
