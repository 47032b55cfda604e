// y = (x - mean) * scale * weight + bias, with the mean and scale of the element's set, plus a
// residual if there is one, then relu if asked.
//
// Layout: x, y and the residual are loads of one element or four; load i of this run of rows is
// load base + i of the part. Statistics and weights are in the table (see norm_table). Reference:
// src/ops/norm/normalize.rs.
// One invocation makes one load, one workgroup workgroup_size of them. Overrides: adds_residual (1
// where there is one; else something else is bound in its place), workgroup_size.
// Providers: load and store (lib/separate or lib/in_place), Element, Statistic, statistic_of,
// affine_of and relu (norm_elements or norm_quads), table (norm_table_storage or
// norm_table_window), norm_place, lib/divide, lib/float, lib/grid.

override adds_residual: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base: u32,
    statistic_length: u32,
    statistics: u32,
    span: u32,
    affines: u32,
    weights: u32,
    biases: u32,
    relu: u32,
}

const TABLE: u32 = 0u;
const OLD: u32 = 2u;

@group(0) @binding(1) var<storage, read> residual: array<Element>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let own = statistic_of(statistic_number(i));
        let affine = affine_number(i);
        let weight = affine_of(params.weights, affine);
        let bias = affine_of(params.biases, affine);
        let x = load(params.base + i);
        var y = (x - own.mean) * (own.scale * weight) + bias;
        if adds_residual != 0u {
            y += residual[params.base + i];
        }
        store(params.base + i, select(y, relu(y), params.relu == 1u));
    }
}
