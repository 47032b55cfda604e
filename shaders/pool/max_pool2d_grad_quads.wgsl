// Provider of fill: dx [planes, height, width] as quads of columns, so that windows 0 and 1, and 2
// and 3, share theirs; x_base is a multiple of 4.

@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

fn fill_two(at: Place, upper: vec4<f32>, lower: vec4<f32>) {
    let i = (
        params.x_base + (at.slab * params.height + 2u * at.row) * params.width + 2u * at.column
    )
        / 4u;
    dx[i] = upper;
    dx[i + params.width / 4u] = lower;
}

fn fill(p0: Place, p1: Place, p2: Place, p3: Place, by: Windows, outputs: u32) {
    fill_two(
        p0,
        vec4<f32>(by.upper_left.x, by.upper_right.x, by.upper_left.y, by.upper_right.y),
        vec4<f32>(by.lower_left.x, by.lower_right.x, by.lower_left.y, by.lower_right.y),
    );
    if outputs > 2u {
        fill_two(
            p2,
            vec4<f32>(by.upper_left.z, by.upper_right.z, by.upper_left.w, by.upper_right.w),
            vec4<f32>(by.lower_left.z, by.lower_right.z, by.lower_left.w, by.lower_right.w),
        );
    }
}
