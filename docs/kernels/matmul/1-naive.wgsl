// y = a b, square matrices of `size` rows: one element per invocation, no memory shared.

struct Params {
    size: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = params.size;
    var sum = 0.0;
    for (var k = 0u; k < size; k++) {
        sum += a[id.y * size + k] * b[k * size + id.x];
    }
    y[id.y * size + id.x] = sum;
}
