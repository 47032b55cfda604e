// y[g, i] = sum over p of parts[p, i], in order: the pieces of long gathers, or a group of them at
// a time.
//
// Layout: parts [parts, outputs], y [groups, outputs] counted from y_base; group g is of the parts
// from g * joined on.
// Reference: src/lowering/pieces.rs. One invocation makes one element of y, one workgroup
// workgroup_size.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    y_base: u32,
    count: u32,
    outputs: u32,
    parts: u32,
    joined: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.count {
        let own = j / params.outputs;
        let begin = own * params.joined;
        let end = min(begin + params.joined, params.parts);
        let i = j - own * params.outputs;
        var sum = 0.0;
        for (var p = begin; p < end; p += 1u) {
            sum += parts[p * params.outputs + i];
        }
        y[params.y_base + j] = sum;
    }
}
