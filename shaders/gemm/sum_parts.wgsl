// y[i] = sum over p of parts[p, i], in order: the second stage of split sums.
//
// Parts from `begin` up to `end`; where `begin` is not 0, y holds the sum of those before it.
// Layout: parts [parts, 4 * quads], each padded to whole vec4s. Reference: src/lowering/gemm/mod.rs
// and whoever splits.
// One invocation makes 4 elements, one workgroup 4 * workgroup_size. Overrides: workgroup_size.
// Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    quads: u32,
    begin: u32,
    end: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.quads {
        var sum = parts[i];
        if params.begin > 0u {
            sum = y[i];
        }
        for (var p = max(params.begin, 1u); p < params.end; p++) {
            sum += parts[p * params.quads + i];
        }
        y[i] = sum;
    }
}
