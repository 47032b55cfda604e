// sums[base + chunk] = sum of f(x[i], t[i]) over every chunks-th quad from quad number chunk on.
//
// Layout: x and t are any shape of count elements; what lies beyond is masked. Reference:
// src/ops/loss/pointwise.rs.
// One invocation makes one chunk, one workgroup workgroup_size of them. Overrides: function (see
// loss/loss_function.wgsl), workgroup_size.
// Providers: loss_function, lib/special, lib/grid, lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    chunks: u32,
    base: u32,
    k0: f32,
    k1: f32,
    k2: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> t: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let chunk = workgroup_index(group) * workgroup_size + local;
    if chunk < params.chunks {
        let count = params.count;
        let step = params.chunks;
        var sum = vec4<f32>(0.0);
        for (var i = chunk; 4u * i < count; i += step) {
            let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(count);
            sum += select(vec4<f32>(0.0), apply(x[i], t[i]), inside);
        }
        sums[params.base + chunk] = (sum.x + sum.y) + (sum.z + sum.w);
    }
}
