// dx = dy where index names the element, else 0.
//
// Layout: dx [outer, extent, inner], dy and index [outer, inner], each from its base on. Reference:
// src/ops/reduce/along.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides:
// workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    extent: u32,
    inner: u32,
    x_base: u32,
    y_base: u32,
    index_base: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let rest = i / params.inner;
        let output = rest / params.extent * params.inner + i % params.inner;
        let named = index[params.index_base + output] == rest % params.extent;
        dx[params.x_base + i] = select(0.0, dy[params.y_base + output], named);
    }
}
