// Provider of store: y alone.

@group(0) @binding(1) var<storage, read_write> y: array<Values>;
@group(0) @binding(2) var<uniform> params: Params;

fn store(i: u32, value: Values, at: Indices) {
    y[i] = value;
}
