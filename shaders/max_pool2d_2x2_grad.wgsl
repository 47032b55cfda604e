// dx[i] = dy[o] where the index of window o names i, else 0: windows of 2 x 2 that tile dx; else as max_pool2d_grad.wgsl.
//
// Layout: dx [planes, height, width] as pairs of columns, dy and index [planes, out_height, out_width] four at a time, counted
// from x_base and y_base. Reference: src/ops/pool.rs.
// One invocation fills 4 windows that follow each other, over row ends too; one workgroup 4 * workgroup_size.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> index: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec2<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// Row of windows, counted over all planes and within its plane, and column of a window.
struct Place {
    line: u32,
    row: u32,
    column: u32,
}

fn next(at: Place) -> Place {
    let wrap = at.column + 1u == params.out_width;
    let row = at.row + u32(wrap);
    return Place(at.line + u32(wrap), select(row, 0u, row == params.out_height), select(at.column + 1u, 0u, wrap));
}

fn fill(at: Place, gradient: f32, index: u32) {
    let corner = 2u * (at.row * params.width + at.column);
    let pair = params.x_base / 2u + at.line * params.width + at.column;
    let upper = vec2<u32>(corner, corner + 1u);
    let lower = upper + params.width;
    dx[pair] = select(vec2<f32>(0.0), vec2<f32>(gradient), upper == vec2<u32>(index));
    dx[pair + params.width / 2u] = select(vec2<f32>(0.0), vec2<f32>(gradient), lower == vec2<u32>(index));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    let first = 4u * i;
    if (first < params.count) {
        let line = first / params.out_width;
        let p0 = Place(line, line % params.out_height, first - line * params.out_width);
        let p1 = next(p0);
        let p2 = next(p1);
        let p3 = next(p2);
        let gradients = dy[params.y_base / 4u + i];
        let indices = index[params.y_base / 4u + i];
        fill(p0, gradients.x, indices.x);
        if (first + 1u < params.count) {
            fill(p1, gradients.y, indices.y);
        }
        if (first + 2u < params.count) {
            fill(p2, gradients.z, indices.z);
        }
        if (first + 3u < params.count) {
            fill(p3, gradients.w, indices.w);
        }
    }
}
