// da[i] = the gradient of a[i] from a[i], b[i] and dy[i], elementwise with broadcasting.
//
// Layout: the output as collapsed axes, outermost first; a, b and dy by a stride per axis, 0 where
// they stretch.
// Reference: src/ops/elementwise/binary.rs; of losses, src/ops/loss/pointwise.rs. One invocation
// makes one element or quad, one workgroup workgroup_size of them.
// Overrides: function (see the provider of apply), workgroup_size.
// Providers: Params, Element, WIDTH, place, strides, widen and narrow (broadcast_elements or
// broadcast_quads), broadcast_axis, load of a and store (lib/separate), apply (binary_gradient or
// loss_gradient), lib/special, lib/divide, lib/grid, lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

const OLD: u32 = 2u;

@group(0) @binding(0) var<storage, read> b: array<Element>;
@group(0) @binding(1) var<storage, read> dy: array<Element>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = place(i);
        let stride = strides();
        let own = widen(load(at.x / WIDTH), at.x, stride.x);
        let other = widen(b[at.y / WIDTH], at.y, stride.y);
        let gradient = widen(dy[at.z / WIDTH], at.z, stride.z);
        store(params.y_base / WIDTH + i, narrow(apply(own, other, gradient)));
    }
}
