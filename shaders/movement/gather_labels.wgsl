// Provider of Element and value_at: a word as it is, whatever scale and shift are.

alias Element = u32;

fn value_at(at: u32) -> u32 {
    return data[at];
}
