// Provider of windows: x [planes, height, width] as quads of columns, so that outputs 0 and 1, and
// 2 and 3, share theirs; x_base is a multiple of 4.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

// The upper quad of a window.
fn quad(at: Place) -> u32 {
    return (params.x_base + (at.slab * params.height + 2u * at.row) * params.width + 2u * at.column)
        / 4u;
}

fn windows(p0: Place, p1: Place, p2: Place, p3: Place) -> Windows {
    let i = quad(p0);
    let j = quad(p2);
    let a0 = x[i];
    let b0 = x[i + params.width / 4u];
    let a2 = x[j];
    let b2 = x[j + params.width / 4u];
    return Windows(
        vec4<f32>(a0.xz, a2.xz),
        vec4<f32>(a0.yw, a2.yw),
        vec4<f32>(b0.xz, b2.xz),
        vec4<f32>(b0.yw, b2.yw),
    );
}
