// y[base_y + sum of i_k * y_k] = x[base_x + sum of i_k * x_k], where another axis becomes the
// innermost one.
//
// Layout: the box as strided_box says, in quads. The innermost axis of x and that of y are
// divisible by 4 and counted in blocks of 4.
// Reference: src/ops/movement/mod.rs. One invocation transposes a block of 4 x 4 words, one
// workgroup workgroup_size of them. row_x and row_y are the strides, in quads, from one row of the
// block to the next. Overrides: workgroup_size.
// Providers: x, y and params (strided_quads), strided_box, lib/grid.

override workgroup_size: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = places(i);
        let a = x[at.x];
        let b = x[at.x + params.row_x];
        let c = x[at.x + 2u * params.row_x];
        let d = x[at.x + 3u * params.row_x];
        y[at.y] = vec4<u32>(a.x, b.x, c.x, d.x);
        y[at.y + params.row_y] = vec4<u32>(a.y, b.y, c.y, d.y);
        y[at.y + 2u * params.row_y] = vec4<u32>(a.z, b.z, c.z, d.z);
        y[at.y + 3u * params.row_y] = vec4<u32>(a.w, b.w, c.w, d.w);
    }
}
