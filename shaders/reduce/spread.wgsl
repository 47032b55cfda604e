// dx = share of the elements x that equal y, else 0; or (x - y) * share. y and share are the
// reductions that x entered.
//
// Layout: a box of x as strided_box says, in elements; its strides in y are 0 where x was reduced.
// Reference: src/ops/reduce/mod.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides: function (0
// equal, 1 difference), workgroup_size. Providers: strided_box, lib/grid, lib/float.

override function: u32 = 0u;
override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> share: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = places(i);
        let value = x[at.x];
        let reduced = y[at.y];
        if function == 1u {
            dx[at.x] = (value - reduced) * share[at.y];
        } else {
            let both_nan = is_nan(value) && is_nan(reduced);
            let equal = value == reduced && !is_nan(value) && !is_nan(reduced);
            dx[at.x] = select(0.0, share[at.y], equal || both_nan);
        }
    }
}
