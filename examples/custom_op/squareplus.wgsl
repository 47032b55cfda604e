// Forward: y = (x + sqrt(x^2 + b)) / 2 (Barron 2021), four elements per invocation.
// common.wgsl and the library's grid are appended.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * 64u + local;
    if i < params.quads {
        y[i] = squareplus(x[i], root(x[i]));
    }
}
