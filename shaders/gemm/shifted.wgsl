// Provider of shifted: vec4s that begin anywhere, read as the two in which they lie.

// The four elements from place `at` mod 4 on of eight.
fn shifted(v: vec4<f32>, w: vec4<f32>, at: u32) -> vec4<f32> {
    let odd = (at & 1u) != 0u;
    let x = select(v, vec4<f32>(v.yzw, w.x), odd);
    let y = select(w.xy, w.yz, odd);
    return select(x, vec4<f32>(x.zw, y), (at & 2u) != 0u);
}
