// Provider of fill: dx [planes, height, width] as pairs of columns; x_base is a multiple of 2.

@group(0) @binding(2) var<storage, read_write> dx: array<vec2<f32>>;

fn fill_one(at: Place, upper: vec2<f32>, lower: vec2<f32>) {
    let i =
        (params.x_base + (at.slab * params.height + 2u * at.row) * params.width) / 2u + at.column;
    dx[i] = upper;
    dx[i + params.width / 2u] = lower;
}

fn fill(p0: Place, p1: Place, p2: Place, p3: Place, by: Windows, outputs: u32) {
    fill_one(
        p0,
        vec2<f32>(by.upper_left.x, by.upper_right.x),
        vec2<f32>(by.lower_left.x, by.lower_right.x),
    );
    if outputs > 1u {
        fill_one(
            p1,
            vec2<f32>(by.upper_left.y, by.upper_right.y),
            vec2<f32>(by.lower_left.y, by.lower_right.y),
        );
    }
    if outputs > 2u {
        fill_one(
            p2,
            vec2<f32>(by.upper_left.z, by.upper_right.z),
            vec2<f32>(by.lower_left.z, by.lower_right.z),
        );
    }
    if outputs > 3u {
        fill_one(
            p3,
            vec2<f32>(by.upper_left.w, by.upper_right.w),
            vec2<f32>(by.lower_left.w, by.lower_right.w),
        );
    }
}
