// Linear radiance as a screen shows it: clipped to [0, 1] and encoded as sRGB, or the texels of
// `from_texture` as they are. One invocation makes one pixel, one workgroup 8x8 of them.

// Whether texels are encoded: those of normals are not.
override ENCODED: bool = true;

@group(0) @binding(0) var from_texture: texture_2d<f32>;
@group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if any(id.xy >= textureDimensions(shown)) {
        return;
    }
    let x = saturate(textureLoad(from_texture, id.xy, 0).rgb);
    let low = 12.92 * x;
    let high = 1.055 * pow(x, vec3f(1.0 / 2.4)) - 0.055;
    let srgb = select(high, low, x <= vec3f(0.0031308));
    textureStore(shown, id.xy, vec4f(select(x, srgb, ENCODED), 1.0));
}
