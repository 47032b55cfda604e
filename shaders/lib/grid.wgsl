// The grid of workgroups as one line.
//
// A dispatch is a count of workgroups. The plan folds it into the device's limit per dimension
// (`width` of x, then y) and may cut it into several dispatches that start at `base`. Kernels know
// their place from `workgroup_index` alone. Workgroups with an index of `grid.count` or more exist
// only to fill the last fold and write nothing.

struct Grid {
    base: u32,
    width: u32,
    count: u32,
    unused: u32,
}

fn workgroup_index(id: vec3<u32>) -> u32 {
    return params.grid.base + id.y * params.grid.width + id.x;
}
