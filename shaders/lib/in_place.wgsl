// Provider of load, store and params: y takes the place of what load reads. Element and OLD, the
// binding of both, come from elsewhere.

@group(0) @binding(OLD) var<storage, read_write> y: array<Element>;
@group(0) @binding(OLD + 1u) var<uniform> params: Params;

fn load(i: u32) -> Element {
    return y[i];
}

fn store(i: u32, value: Element) {
    y[i] = value;
}
