// y[i] = f(a[i], b[i]), elementwise with broadcasting (NumPy's rule).
//
// Layout: the output as collapsed axes, outermost first; a and b by a stride per axis, 0 where they
// stretch.
// Reference: src/ops/elementwise/binary.rs. One invocation makes one element or quad, one workgroup
// workgroup_size of them.
// Overrides: function (see elementwise/binary_function.wgsl), workgroup_size.
// Providers: Params, Element, WIDTH, place, strides, widen and narrow (broadcast_elements or
// broadcast_quads), broadcast_axis, load of a and store (lib/separate or lib/in_place),
// binary_function, lib/divide, lib/grid, lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

const OLD: u32 = 1u;

@group(0) @binding(0) var<storage, read> b: array<Element>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = place(i);
        let stride = strides();
        let own = widen(load(at.x / WIDTH), at.x, stride.x);
        let other = widen(b[at.y / WIDTH], at.y, stride.y);
        store(params.y_base / WIDTH + i, narrow(apply(own, other)));
    }
}
