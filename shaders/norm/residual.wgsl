// Provider of OLD and with_residual: load `at` of another operand is added.

const OLD: u32 = 2u;

@group(0) @binding(1) var<storage, read> residual: array<Element>;

fn with_residual(y: Element, at: u32) -> Element {
    return y + residual[at];
}
