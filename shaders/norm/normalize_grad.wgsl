// dx = scale * (weight * dy - plain - normal * scaled), normal = (x - mean) * scale: the gradient
// of a normalisation.
//
// `plain` and `scaled` are the means over the element's set of g = weight * dy and of g * normal,
// or 0 where the statistics do not depend on x. Layout: dy, x and dx are loads of one element or
// four; load i of this run of rows is load base + i of the part. All else is in the table (see
// norm_table). Reference: src/ops/norm/normalize.rs.
// One invocation makes one load, one workgroup workgroup_size of them. Overrides: workgroup_size.
// Providers: load of dy and store (lib/separate or lib/in_place), Element, Statistic, statistic_of
// and affine_of (norm_elements or norm_quads), table (norm_table_storage or norm_table_window),
// norm_place, lib/divide, lib/float, lib/grid.

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
}

const TABLE: u32 = 1u;
const OLD: u32 = 2u;

@group(0) @binding(0) var<storage, read> x: array<Element>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let own = statistic_of(statistic_number(i));
        let g = affine_of(params.weights, affine_number(i)) * load(params.base + i);
        let normal = (x[params.base + i] - own.mean) * own.scale;
        store(params.base + i, own.scale * (g - own.plain - normal * own.scaled));
    }
}
