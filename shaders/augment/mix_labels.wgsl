// y[n, k] = the share that label k has of mixed image n: its own label's and the next one's.
//
// Layout: labels [total]; rows [rows, words] from element first_row on; y [rows, classes] from
// first_y on, those of images first to first + rows - 1; the image after the last one is the
// first. The box's share of [height, width] is the next one's. Reference: src/ops/augment/mix.rs.
// One invocation makes an element, one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: augment/row, lib/grid, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    first: u32,
    total: u32,
    first_row: u32,
    first_y: u32,
    classes: u32,
    height: u32,
    width: u32,
    words: u32,
}

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// How much of 0..extent lies in the box along one axis.
fn covered(first: u32, length: u32, extent: u32) -> u32 {
    // What lies before 0 and behind the extent counts nothing.
    let negative = bitcast<i32>(first) < 0;
    let before = select(0u, 0u - first, negative);
    let begin = select(min(first, extent), 0u, negative);
    return min(length - min(length, before), extent - begin);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let sample = quotient(i, params.classes);
        let class_index = i - sample * params.classes;
        let base = params.first_row + sample * params.words;
        let own = params.first + sample;
        let other = select(own + 1u, 0u, own + 1u == params.total);
        let box = covered(rows[base + BOX_X], rows[base + BOX_WIDTH], params.width)
            * covered(rows[base + BOX_Y], rows[base + BOX_HEIGHT], params.height);
        let outside = f32(params.height * params.width - box) / f32(params.height * params.width);
        let share = f32(min(rows[base + SHARE], 65536u)) / 65536.0 * outside;
        var made = 0.0;
        if labels[own] == class_index {
            made += share;
        }
        if labels[other] == class_index {
            made += 1.0 - share;
        }
        y[params.first_y + i] = made;
    }
}
