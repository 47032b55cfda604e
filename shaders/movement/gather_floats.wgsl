// Provider of Element and value_at: number * scale + shift of one number.

alias Element = f32;

fn value_at(at: u32) -> f32 {
    return bitcast<f32>(data[at]) * params.scale + params.shift;
}
