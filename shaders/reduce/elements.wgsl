// Provider of Element, Bits, Result and fold: single elements.

alias Element = f32;
alias Bits = u32;
alias Result = f32;

fn fold(total: f32) -> f32 {
    return total;
}
