// table = what the elements of one run of rows need to be normalised, gathered into one buffer.
//
// Layout: vec4s. First (mean, scale, 0, 0) of each set, scale = 1 / sqrt(variance + eps); the zeros
// may become mean(g) and mean(g * normal) for the gradient. From `weights` on the weights, four to
// a vec4; then, after `affine_quads` of them, the biases. statistics [sets, 2] is (mean, variance),
// from pair `first` on. Without weights they are 1, without biases 0, and another buffer stands in
// their place. Reference: src/ops/norm/normalize.rs.
// One invocation makes one vec4 of each kind, one workgroup workgroup_size. Overrides:
// workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    sets: u32,
    first: u32,
    weights: u32,
    affine_quads: u32,
    has_weight: u32,
    has_bias: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> table: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.sets {
        let own = statistics[params.first + i];
        table[i] = vec4<f32>(own.x, inverseSqrt(own.y + params.eps), 0.0, 0.0);
    }
    if i < params.affine_quads {
        var w = vec4<f32>(1.0);
        if params.has_weight == 1u {
            w = weight[i];
        }
        var b = vec4<f32>();
        if params.has_bias == 1u {
            b = bias[i];
        }
        table[params.weights + i] = w;
        table[params.weights + params.affine_quads + i] = b;
    }
}
