// y[i] = a[i] where mask[i] is not 0, b[i] elsewhere, with broadcasting (NumPy's rule).
//
// Layout: words of any element type; the output as collapsed axes, outermost first; mask, a and b
// by a stride per axis, 0 where they stretch. Reference: src/ops/elementwise/compare.rs. One
// invocation makes one word or a quad of them, one workgroup workgroup_size of these.
// Overrides: workgroup_size. Providers: Params, WIDTH, place and strides (broadcast_elements or
// broadcast_quads), Word, widened and narrowed (words_elements or words_quads), broadcast_axis,
// lib/divide, lib/grid.

override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> a: array<Word>;
@group(0) @binding(1) var<storage, read> b: array<Word>;
@group(0) @binding(2) var<storage, read> mask: array<Word>;
@group(0) @binding(3) var<storage, read_write> y: array<Word>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = place(i);
        let stride = strides();
        let taken = widened(mask[at.x / WIDTH], at.x, stride.x) != vec4<u32>();
        let left = widened(a[at.y / WIDTH], at.y, stride.y);
        let right = widened(b[at.z / WIDTH], at.z, stride.z);
        y[params.y_base / WIDTH + i] = narrowed(select(right, left, taken));
    }
}
