// Provider of over: the nearest texel of a texture lies behind, as far as alpha and opacity let it
// show.

const TARGET: u32 = 5u;

@group(0) @binding(4) var behind: texture_2d<f32>;

fn over(at: vec2<u32>, size: vec2<u32>, colour: vec4<f32>) -> vec4<f32> {
    let dimensions = textureDimensions(behind);
    let place = (2u * at + vec2<u32>(1u)) * dimensions / (2u * size);
    let back = textureLoad(behind, vec2<i32>(place), 0);
    let texel = select(back, vec4<f32>(), is_not_finite4(back));
    let share = clamp(colour.w * params.opacity, 0.0, 1.0);
    return vec4<f32>(mix(texel.xyz, colour.xyz, share), max(texel.w, share));
}
