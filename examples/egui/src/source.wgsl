// A pattern that moves: rings over checks, with edges in all directions. One invocation a pixel.

@group(0) @binding(0) var<uniform> seconds: f32;
@group(0) @binding(1) var picture: texture_storage_2d<rgba8unorm, write>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    let size = textureDimensions(picture);
    if (at.x >= size.x || at.y >= size.y) {
        return;
    }
    let place = vec2<f32>(at.xy) - 0.5 * vec2<f32>(size);
    let drift = vec2<i32>(vec2<f32>(at.xy) + 24.0 * seconds);
    let checked = f32(((drift.x / 32) + (drift.y / 32)) % 2);
    let slope = vec2<f32>(at.xy) / vec2<f32>(size);
    var colour = vec3<f32>(0.6 * slope.x, 0.6 * slope.y, 0.2) + 0.25 * checked;

    let radius = length(place);
    if (radius < 0.42 * f32(min(size.x, size.y)) && sin(radius / 5.0 - 4.0 * seconds) > 0.0) {
        colour = vec3<f32>(0.95, 0.9, 0.8) - 0.5 * colour;
    }
    textureStore(picture, at.xy, vec4<f32>(colour, 1.0));
}
