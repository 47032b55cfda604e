// y[.., j, ..] = x[.., index[.., j, ..], ..] along one axis; 0 where the index is not below the
// extent of x.
//
// Layout: words of any type; x [outer, extent, inner], index and y [outer, columns, inner], each
// from its base on. Reference: src/ops/movement/index.rs. One invocation makes one element, one
// workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    extent: u32,
    columns: u32,
    inner: u32,
    x_base: u32,
    index_base: u32,
    y_base: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = workgroup_index(group) * workgroup_size + local;
    if at < params.count {
        let rest = quotient(at, params.inner);
        let i = at - rest * params.inner;
        let outer = quotient(rest, params.columns);
        let a = index[params.index_base + at];
        var value = 0u;
        if a < params.extent {
            value = x[params.x_base + (outer * params.extent + a) * params.inner + i];
        }
        y[params.y_base + at] = value;
    }
}
