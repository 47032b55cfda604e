// y[o] = max of x over window o: windows of 2 x 2 side by side, an even width, no padding; else as max_pool2d.wgsl.
//
// Layout: x [planes, height, width] as pairs of columns, y and index [planes, out_height, out_width] four at a time, counted
// from x_base and y_base. Reference: src/ops/pool.rs.
// One invocation makes 4 outputs that follow each other, over row ends too; one workgroup 4 * workgroup_size.
// Overrides: workgroup_size. Providers: store (max_pool2d_values or max_pool2d_indices), lib/grid, lib/float.

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

alias Values = vec4<f32>;
alias Indices = vec4<u32>;

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;

// Place of an output.
struct Place {
    plane: u32,
    row: u32,
    column: u32,
}

// The output after `at`, or `at` itself if there is none.
fn next(at: Place, exists: bool) -> Place {
    let wrap = at.column + 1u == params.out_width;
    let row = at.row + u32(wrap);
    let turn = row == params.out_height;
    if (!exists) {
        return at;
    }
    return Place(at.plane + u32(turn), select(row, 0u, turn), select(at.column + 1u, 0u, wrap));
}

// Where the upper pair of the window of `at` lies in x.
fn pair(at: Place) -> u32 {
    return (params.x_base + (at.plane * params.height + 2u * at.row) * params.width) / 2u + at.column;
}

fn wins(value: vec4<f32>, best: vec4<f32>) -> vec4<bool> {
    return is_nan4(value) | ((value > best) & !is_nan4(best));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    let first = 4u * i;
    if (first < params.count) {
        let line = first / params.out_width;
        let plane = line / params.out_height;
        let p0 = Place(plane, line - plane * params.out_height, first - line * params.out_width);
        let p1 = next(p0, first + 1u < params.count);
        let p2 = next(p1, first + 2u < params.count);
        let p3 = next(p2, first + 3u < params.count);
        let pitch = params.width / 2u;
        let a0 = x[pair(p0)];
        let b0 = x[pair(p0) + pitch];
        let a1 = x[pair(p1)];
        let b1 = x[pair(p1) + pitch];
        let a2 = x[pair(p2)];
        let b2 = x[pair(p2) + pitch];
        let a3 = x[pair(p3)];
        let b3 = x[pair(p3) + pitch];
        let rows = vec4<u32>(p0.row, p1.row, p2.row, p3.row);
        let columns = vec4<u32>(p0.column, p1.column, p2.column, p3.column);
        var index = 2u * (rows * params.width + columns);
        let corner = index;
        var best = vec4<f32>(a0.x, a1.x, a2.x, a3.x);
        var value = vec4<f32>(a0.y, a1.y, a2.y, a3.y);
        var take = wins(value, best);
        best = select(best, value, take);
        index = select(index, corner + 1u, take);
        value = vec4<f32>(b0.x, b1.x, b2.x, b3.x);
        take = wins(value, best);
        best = select(best, value, take);
        index = select(index, corner + params.width, take);
        value = vec4<f32>(b0.y, b1.y, b2.y, b3.y);
        take = wins(value, best);
        best = select(best, value, take);
        index = select(index, corner + params.width + 1u, take);
        store(params.y_base / 4u + i, best, index);
    }
}
