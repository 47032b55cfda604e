// Paths through a Cornell box with spheres, by Kajiya's rendering equation (1986): each sample is
//   sum over hits of throughput * (light seen from there),
// with the area light sampled at every diffuse hit, and counted where a path meets it only if it
// came from the eye or from glass, metal or a coat.
//
// One invocation makes one pixel, one workgroup 8x8 of them. Textures are [height, width].
//   colour  linear radiance, mean over the samples of this dispatch
//   albedo  of the first hit: diffuse reflectance; 1 for glass, metal and light, 0 for nothing
//   normal  of the first hit, n * 0.5 + 0.5
//   mean    linear radiance, mean over all samples since the start
//   sums    [height * width] of (sum of radiance, number of samples) since the start
//
// The room is [-1, 1]^3, open towards +z. Walls are seen from inside only, so that a camera may
// stand anywhere. The light lies in the ceiling.

const BOUNCES = 6u;
const MOST_SPHERES = 6u;
const FAR = 1e9;
const NEAR = 1e-3;
const PI = 3.14159265;
const LARGEST_HALF = 65504.0;

const DIFFUSE = 0u;
const METAL = 1u;
const GLASS = 2u;
const COATED = 3u;
const LIGHT = 4u;

struct Sphere {
    // Centre and radius.
    place: vec4f,
    // Colour, and roughness in [0, 1] of what it mirrors.
    surface: vec4f,
    // Kind, and three words of padding.
    kind: vec4u,
}

struct Shot {
    eye: vec4f,
    // Half of the picture's width and height at a distance of 1, and the way to look.
    right: vec4f,
    up: vec4f,
    forward: vec4f,
    // Centre x and z, half extents along x and z.
    light: vec4f,
    // Radiance, and the most that a sample may add behind its first hit; 0 for no bound.
    glow: vec4f,
    // Left, right, back, ceiling, floor, every other tile of the floor.
    walls: array<vec4f, 6>,
    // First pixel x and y of what is drawn, width and height of the picture that it is cut from.
    window: vec4u,
    // Frame, seed, samples of this dispatch, number of spheres.
    run: vec4u,
    // 1 if `sums` begin anew, and three words of padding.
    start: vec4u,
    spheres: array<Sphere, MOST_SPHERES>,
}

// Not a uniform: lavapipe compiles a shader whose branches depend on uniforms anew in each submit,
// and keeps what it made.
@group(0) @binding(0) var<storage, read> shot: Shot;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(2) var colour: texture_storage_2d<rgba16float, write>;
@group(0) @binding(3) var albedo: texture_storage_2d<rgba16float, write>;
@group(0) @binding(4) var normal: texture_storage_2d<rgba16float, write>;
@group(0) @binding(5) var mean: texture_storage_2d<rgba32float, write>;

// Random numbers: PCG (O'Neill 2014), seeded by its hash of seed, frame, sample and pixel.

var<private> rng: u32;

fn scramble(state: u32) -> u32 {
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn pcg(x: u32) -> u32 {
    return scramble(x * 747796405u + 2891336453u);
}

// In [0, 1).
fn uniform01() -> f32 {
    rng = rng * 747796405u + 2891336453u;
    return f32(scramble(rng) >> 8u) * (1.0 / 16777216.0);
}

fn on_sphere() -> vec3f {
    let z = 1.0 - 2.0 * uniform01();
    let turn = 2.0 * PI * uniform01();
    let r = sqrt(max(0.0, 1.0 - z * z));
    return vec3f(r * cos(turn), r * sin(turn), z);
}

// What a ray meets.

struct Hit {
    t: f32,
    kind: u32,
    normal: vec3f,
    colour: vec3f,
    roughness: f32,
}

// Distance along a ray to a sphere, FAR if it misses.
fn to_sphere(origin: vec3f, along: vec3f, place: vec4f) -> f32 {
    let offset = origin - place.xyz;
    let b = dot(offset, along);
    let inside = b * b - dot(offset, offset) + place.w * place.w;
    if inside < 0.0 {
        return FAR;
    }
    let root = sqrt(inside);
    let near = -b - root;
    let far = -b + root;
    return select(select(FAR, far, far > NEAR), near, near > NEAR);
}

fn trace(origin: vec3f, along: vec3f) -> Hit {
    var hit = Hit(FAR, DIFFUSE, vec3f(0.0), vec3f(0.0), 0.0);

    // The room: where the ray leaves the cube, if it enters it.
    let steep = select(along, vec3f(1e-7), abs(along) < vec3f(1e-7));
    let side = select(vec3f(-1.0), vec3f(1.0), steep > vec3f(0.0));
    let leave = (side - origin) / steep;
    let enter = (-side - origin) / steep;
    let last = min(leave.x, min(leave.y, leave.z));
    let first = max(enter.x, max(enter.y, enter.z));
    if last > max(first, NEAR) {
        let at = origin + last * along;
        if last == leave.x {
            hit.t = last;
            hit.normal = vec3f(-side.x, 0.0, 0.0);
            hit.colour = select(shot.walls[0].rgb, shot.walls[1].rgb, side.x > 0.0);
        } else if last == leave.y {
            hit.t = last;
            hit.normal = vec3f(0.0, -side.y, 0.0);
            let tile = floor(at.x * 3.0) + floor(at.z * 3.0);
            let odd = fract(tile * 0.5) > 0.25;
            let ground = select(shot.walls[4].rgb, shot.walls[5].rgb, odd);
            hit.colour = select(ground, shot.walls[3].rgb, side.y > 0.0);
            let off = abs(at.xz - shot.light.xy) - shot.light.zw;
            if side.y > 0.0 && max(off.x, off.y) < 0.0 {
                hit.kind = LIGHT;
                hit.colour = vec3f(1.0);
            }
        } else if side.z < 0.0 {
            hit.t = last;
            hit.normal = vec3f(0.0, 0.0, 1.0);
            hit.colour = shot.walls[2].rgb;
        }
    }
    for (var i = 0u; i < min(shot.run.w, MOST_SPHERES); i++) {
        let sphere = shot.spheres[i];
        let t = to_sphere(origin, along, sphere.place);
        if t < hit.t {
            hit.t = t;
            hit.kind = sphere.kind.x;
            hit.normal = (origin + t * along - sphere.place.xyz) / sphere.place.w;
            hit.colour = sphere.surface.rgb;
            hit.roughness = sphere.surface.w;
        }
    }
    return hit;
}

// Whether a sphere lies within `reach` of a point. Walls never do: the room is convex.
fn is_blocked(origin: vec3f, along: vec3f, reach: f32) -> bool {
    var nearest = FAR;
    for (var i = 0u; i < min(shot.run.w, MOST_SPHERES); i++) {
        nearest = min(nearest, to_sphere(origin, along, shot.spheres[i].place));
    }
    return nearest < reach;
}

// Light that arrives straight from the lamp and leaves a diffuse surface of albedo 1:
// radiance * cos * cos' * area / (pi * distance^2), at one random point of the lamp.
fn lit(at: vec3f, facing: vec3f) -> vec3f {
    let spot = shot.light.xy + shot.light.zw * (2.0 * vec2f(uniform01(), uniform01()) - 1.0);
    let way = vec3f(spot.x, 1.0, spot.y) - at;
    let square = max(dot(way, way), 1e-6);
    let along = way * inverseSqrt(square);
    let cosines = max(dot(facing, along), 0.0) * max(along.y, 0.0);
    if cosines <= 0.0 || is_blocked(at, along, sqrt(square) - NEAR) {
        return vec3f(0.0);
    }
    let area = 4.0 * shot.light.z * shot.light.w;
    return shot.glow.rgb * (cosines * area / (PI * square));
}

// Share of the light that glass of index 1.5 mirrors, by Schlick (1994).
fn schlick(cosine: f32) -> f32 {
    return 0.04 + 0.96 * pow(1.0 - cosine, 5.0);
}

// Mirrored, and scattered by so much.
fn mirrored(along: vec3f, facing: vec3f, roughness: f32) -> vec3f {
    return normalize(reflect(along, facing) + 0.999 * roughness * on_sphere());
}

// A direction behind glass of index 1.5: mirrored or refracted, by chance.
fn through_glass(along: vec3f, outward: vec3f) -> vec3f {
    let enters = dot(along, outward) < 0.0;
    let facing = select(-outward, outward, enters);
    let eta = select(1.5, 1.0 / 1.5, enters);
    let cosine = min(-dot(along, facing), 1.0);
    let bent = refract(along, facing, eta);
    // The angle outside of the glass is the one that counts.
    let outer = select(sqrt(max(0.0, 1.0 - eta * eta * (1.0 - cosine * cosine))), cosine, enters);
    if dot(bent, bent) == 0.0 || uniform01() < schlick(outer) {
        return reflect(along, facing);
    }
    return normalize(bent);
}

// What one more hit may add.
fn bounded(light: vec3f, bounce: u32) -> vec3f {
    let most = max(light.r, max(light.g, light.b));
    if bounce == 0u || shot.glow.w <= 0.0 || most <= shot.glow.w {
        return light;
    }
    return light * (shot.glow.w / most);
}

struct Seen {
    radiance: vec3f,
    albedo: vec3f,
    normal: vec3f,
}

fn path(eye: vec3f, gaze: vec3f) -> Seen {
    var seen = Seen(vec3f(0.0), vec3f(0.0), vec3f(0.0));
    var origin = eye;
    var along = gaze;
    var throughput = vec3f(1.0);
    var counts_light = true;
    for (var bounce = 0u; bounce < BOUNCES; bounce++) {
        let hit = trace(origin, along);
        if bounce == 0u && hit.t < FAR {
            let mirrors = hit.kind == METAL || hit.kind == GLASS;
            seen.albedo = select(hit.colour, vec3f(1.0), mirrors);
            seen.normal = hit.normal;
        }
        if hit.t >= FAR {
            break;
        }
        if hit.kind == LIGHT {
            if counts_light {
                seen.radiance += bounded(throughput * shot.glow.rgb, bounce);
            }
            break;
        }
        let at = origin + hit.t * along;
        if hit.kind == GLASS {
            along = through_glass(along, hit.normal);
            origin = at + along * NEAR;
            throughput *= hit.colour;
            counts_light = true;
            continue;
        }
        // Inside of a sphere nothing but glass is ever met from behind.
        origin = at + hit.normal * NEAR;
        let cosine = clamp(-dot(along, hit.normal), 0.0, 1.0);
        let coated = hit.kind == COATED && uniform01() < schlick(cosine);
        if hit.kind == METAL || coated {
            along = mirrored(along, hit.normal, hit.roughness);
            if dot(along, hit.normal) <= 0.0 {
                break;
            }
            throughput *= select(hit.colour, vec3f(1.0), coated);
            counts_light = true;
            continue;
        }
        throughput *= hit.colour;
        seen.radiance += bounded(throughput * lit(origin, hit.normal), bounce);
        along = normalize(hit.normal + 0.999 * on_sphere());
        counts_light = false;
        // Russian roulette: dark paths end early, those that go on stand for them.
        if bounce >= 2u {
            let goes_on = clamp(max(throughput.r, max(throughput.g, throughput.b)), 0.05, 1.0);
            if uniform01() >= goes_on {
                break;
            }
            throughput /= goes_on;
        }
    }
    return seen;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let size = textureDimensions(colour);
    if any(id.xy >= size) {
        return;
    }
    let pixel = shot.window.xy + id.xy;
    let number = pixel.y * shot.window.z + pixel.x;
    let samples = max(shot.run.z, 1u);
    var sum = Seen(vec3f(0.0), vec3f(0.0), vec3f(0.0));
    for (var i = 0u; i < samples; i++) {
        rng = pcg(number + pcg(i + pcg(shot.run.x + pcg(shot.run.y))));
        let jitter = vec2f(uniform01(), uniform01());
        let place = (vec2f(pixel) + jitter) / vec2f(shot.window.zw) * 2.0 - 1.0;
        let gaze = shot.forward.xyz + place.x * shot.right.xyz - place.y * shot.up.xyz;
        let seen = path(shot.eye.xyz, normalize(gaze));
        sum.radiance += seen.radiance;
        sum.albedo += seen.albedo;
        sum.normal += seen.normal;
    }
    let share = 1.0 / f32(samples);
    let radiance = min(sum.radiance * share, vec3f(LARGEST_HALF));
    textureStore(colour, id.xy, vec4f(radiance, 1.0));
    textureStore(albedo, id.xy, vec4f(sum.albedo * share, 1.0));
    textureStore(normal, id.xy, vec4f(sum.normal * share * 0.5 + 0.5, 1.0));

    let index = id.y * size.x + id.x;
    var total = vec4f(sum.radiance, f32(samples));
    if shot.start.x == 0u {
        total += sums[index];
    }
    sums[index] = total;
    textureStore(mean, id.xy, vec4f(total.rgb / total.w, 1.0));
}
