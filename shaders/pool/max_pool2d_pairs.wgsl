// Provider of windows: x [planes, height, width] as pairs of columns; x_base is a multiple of 2.

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;

// The upper pair of a window.
fn pair(at: Place) -> u32 {
    return (params.x_base + (at.slab * params.height + 2u * at.row) * params.width) / 2u
        + at.column;
}

fn windows(p0: Place, p1: Place, p2: Place, p3: Place) -> Windows {
    let i = vec4<u32>(pair(p0), pair(p1), pair(p2), pair(p3));
    let j = i + params.width / 2u;
    let a0 = x[i.x];
    let b0 = x[j.x];
    let a1 = x[i.y];
    let b1 = x[j.y];
    let a2 = x[i.z];
    let b2 = x[j.z];
    let a3 = x[i.w];
    let b3 = x[j.w];
    return Windows(
        vec4<f32>(a0.x, a1.x, a2.x, a3.x),
        vec4<f32>(a0.y, a1.y, a2.y, a3.y),
        vec4<f32>(b0.x, b1.x, b2.x, b3.x),
        vec4<f32>(b0.y, b1.y, b2.y, b3.y),
    );
}
