// Provider of load, store and params: y in a buffer of its own. Element and OLD, the binding of
// what load reads, come from elsewhere.

@group(0) @binding(OLD) var<storage, read> old: array<Element>;
@group(0) @binding(OLD + 1u) var<storage, read_write> y: array<Element>;
@group(0) @binding(OLD + 2u) var<uniform> params: Params;

fn load(i: u32) -> Element {
    return old[i];
}

fn store(i: u32, value: Element) {
    y[i] = value;
}
