// y[i] = f(a[i], b[i]), elementwise with broadcasting (NumPy's rule).
//
// Layout: the output as at most six collapsed axes, outermost first; a and b by a stride per axis, 0 where they stretch.
// Reference: src/ops/elementwise.rs. One invocation makes one element, one workgroup workgroup_size.
// Overrides: function (see binary_function.wgsl), workgroup_size.
// Providers: load_a, load_b and store (binary_broadcast_separate or binary_broadcast_in_place), binary_function, lib/grid, lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    extent0: u32,
    extent1: u32,
    extent2: u32,
    extent3: u32,
    extent4: u32,
    extent5: u32,
    a0: u32,
    a1: u32,
    a2: u32,
    a3: u32,
    a4: u32,
    a5: u32,
    b0: u32,
    b1: u32,
    b2: u32,
    b3: u32,
    b4: u32,
    b5: u32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        var rest = i;
        let i5 = rest % params.extent5;
        rest = rest / params.extent5;
        let i4 = rest % params.extent4;
        rest = rest / params.extent4;
        let i3 = rest % params.extent3;
        rest = rest / params.extent3;
        let i2 = rest % params.extent2;
        rest = rest / params.extent2;
        let i1 = rest % params.extent1;
        let i0 = rest / params.extent1;
        let at_a = i0 * params.a0 + i1 * params.a1 + i2 * params.a2 + i3 * params.a3 + i4 * params.a4 + i5 * params.a5;
        let at_b = i0 * params.b0 + i1 * params.b1 + i2 * params.b2 + i3 * params.b3 + i4 * params.b4 + i5 * params.b5;
        store(i, apply(vec4<f32>(load_a(at_a)), vec4<f32>(load_b(at_b))).x);
    }
}
