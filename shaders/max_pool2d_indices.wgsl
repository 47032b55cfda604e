// Provider of store: y and the indices of its elements in their planes.

@group(0) @binding(1) var<storage, read_write> y: array<Values>;
@group(0) @binding(2) var<storage, read_write> index: array<Indices>;
@group(0) @binding(3) var<uniform> params: Params;

fn store(i: u32, value: Values, at: Indices) {
    y[i] = value;
    index[i] = at;
}
