// y[base_y + sum of i_k * y_k] = x[base_x + sum of i_k * x_k], where another axis becomes the innermost one.
//
// Layout: the box as at most six merged axes, outermost first; extent and strides in x and y of each, in quads. The innermost axis
// of x and that of y are divisible by 4 and counted in blocks of 4. Reference: src/ops/movement.rs.
// One invocation transposes a block of 4 x 4 words, one workgroup workgroup_size of them. row_x and row_y are the strides, in quads,
// from one row of the block to the next. Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base_x: u32,
    base_y: u32,
    row_x: u32,
    row_y: u32,
    extent0: u32,
    x0: u32,
    y0: u32,
    extent1: u32,
    x1: u32,
    y1: u32,
    extent2: u32,
    x2: u32,
    y2: u32,
    extent3: u32,
    x3: u32,
    y3: u32,
    extent4: u32,
    x4: u32,
    y4: u32,
    extent5: u32,
    x5: u32,
    y5: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let i5 = i % params.extent5;
        var rest = i / params.extent5;
        let i4 = rest % params.extent4;
        rest = rest / params.extent4;
        let i3 = rest % params.extent3;
        rest = rest / params.extent3;
        let i2 = rest % params.extent2;
        rest = rest / params.extent2;
        let i1 = rest % params.extent1;
        let i0 = rest / params.extent1;
        let at_x = params.base_x + i0 * params.x0 + i1 * params.x1 + i2 * params.x2 + i3 * params.x3
            + i4 * params.x4 + i5 * params.x5;
        let at_y = params.base_y + i0 * params.y0 + i1 * params.y1 + i2 * params.y2 + i3 * params.y3
            + i4 * params.y4 + i5 * params.y5;
        let a = x[at_x];
        let b = x[at_x + params.row_x];
        let c = x[at_x + 2u * params.row_x];
        let d = x[at_x + 3u * params.row_x];
        y[at_y] = vec4<u32>(a.x, b.x, c.x, d.x);
        y[at_y + params.row_y] = vec4<u32>(a.y, b.y, c.y, d.y);
        y[at_y + 2u * params.row_y] = vec4<u32>(a.z, b.z, c.z, d.z);
        y[at_y + 3u * params.row_y] = vec4<u32>(a.w, b.w, c.w, d.w);
    }
}
