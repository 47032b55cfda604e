// y[i] = x[i] as an element of another type.
//
// Layout: x and y are runs of the provider's Input and Output, from numbers read_base and
// write_base on; where these are several elements, the last one may reach into the padding.
// Reference: src/ops/elementwise/cast.rs.
// One invocation makes one Output, one workgroup workgroup_size of them.
// Overrides: float (see the provider), workgroup_size.
// Providers: Input, Output and converted (cast_words, cast_from_bytes, cast_from_byte or
// cast_to_bytes), lib/convert, lib/float, lib/grid.

override float: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    read_base: u32,
    write_base: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Input>;
@group(0) @binding(1) var<storage, read_write> y: array<Output>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        y[params.write_base + i] = converted(params.read_base + i);
    }
}
