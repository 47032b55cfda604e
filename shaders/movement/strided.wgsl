// y[base_y + sum of i_k * y_k] = x[base_x + sum of i_k * x_k]: a box of elements of one word moved
// from one place to another.
//
// Layout: the box as strided_box says, in elements or in quads, as the provider of x and y says.
// Reference: src/ops/movement/mod.rs.
// One invocation moves one element or quad, one workgroup workgroup_size of them. Overrides:
// workgroup_size.
// Providers: x, y and params (strided_elements or strided_quads), strided_box, lib/grid.

override workgroup_size: u32 = 64u;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = places(i);
        y[at.y] = x[at.x];
    }
}
