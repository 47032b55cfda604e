// y[o] = average(sum of window o): the last stage of windows that are summed in pieces.
//
// Layout: sums [count], y [planes, out_depth, out_height, out_width] counted from y_base; sum i is
// that of output first + i.
// Reference: src/ops/pool/average.rs. One invocation makes one output, one workgroup
// workgroup_size.
// Overrides: workgroup_size.
// Providers: average (average_mean or average_lp), counted (pool_windows),
// pool_params, pool_place, lib/grid, lib/divide; for average_lp lib/float.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let o = params.first + i;
        let at = place(o);
        let slice = at.slab - quotient(at.slab, params.out_depth) * params.out_depth;
        let count = counted(depth_axis(), slice)
            * counted(height_axis(), at.row)
            * counted(width_axis(), at.column);
        y[params.y_base + o] = average(sums[i], count);
    }
}
