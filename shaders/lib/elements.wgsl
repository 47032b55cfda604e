// Provider of Element and is_nan_each: a load is one element.

alias Element = f32;

fn is_nan_each(x: f32) -> bool {
    return is_nan(x);
}
