// Provider of put and target_size: a texture of the format rgba32float. TARGET, its binding,
// comes from elsewhere.

@group(0) @binding(TARGET) var target_texture: texture_storage_2d<rgba32float, write>;
@group(0) @binding(TARGET + 1u) var<uniform> params: Params;

fn target_size() -> vec2<u32> {
    return textureDimensions(target_texture);
}

fn put(at: vec2<u32>, colour: vec4<f32>) {
    textureStore(target_texture, vec2<i32>(at), colour);
}
