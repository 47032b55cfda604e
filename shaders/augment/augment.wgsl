// y[n, c, y, x] = colour(image n at matrix(x, y)) * scale + shift, 0 in the erased box, as row n
// says.
//
// Layout: images and y [rows, channels, height, width] of f32 that hold bytes; rows [rows, words];
// tables [rows, channels, 257]: new levels of each channel, then the mean grey with 16 bits behind
// the point in that of channel 0; each from its first element on. `lanes` channels from number
// `channel` on are made. All is computed in integers, but for value * scale + shift. Steps:
// sharpness, levels, sampling, contrast, saturation, brightness, posterize, solarize, noise,
// erasing.
// Reference: src/ops/augment/pixels.rs.
// One invocation makes a pixel of up to most_lanes channels, one workgroup workgroup_size of them.
// Overrides: leveled (1 reads tables, 0 does without levels and contrast), picks (1 where rows only
// pick pixels and erase: flips, shifts, cutout), most_lanes (1 or 4), workgroup_size.
// Providers: augment/row, augment/geometry, augment/bytes, lib/fixed, lib/philox, lib/grid,
// lib/float, lib/divide.

override leveled: u32 = 0u;
override picks: u32 = 0u;
override most_lanes: u32 = 4u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    first_image: u32,
    first_row: u32,
    first_table: u32,
    first_y: u32,
    channels: u32,
    channel: u32,
    lanes: u32,
    height: u32,
    width: u32,
    words: u32,
    knots: u32,
    step_x: u32,
    step_y: u32,
    scale0: f32,
    scale1: f32,
    scale2: f32,
    scale3: f32,
    shift0: f32,
    shift1: f32,
    shift2: f32,
    shift3: f32,
}

@group(0) @binding(0) var<storage, read> images: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> tables: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

const TABLE: u32 = 257u;

// The image at hand: its row, its first channel of the lanes, and that one's table.
var<private> base: u32;
var<private> image: u32;
var<private> table: u32;

// The bytes of the lanes at a pixel.
fn raw(at: vec2<i32>) -> vec4<i32> {
    let plane = params.height * params.width;
    let first = image + u32(at.y) * params.width + u32(at.x);
    var found: vec4<i32>;
    for (var lane = 0u; lane < most_lanes; lane++) {
        if lane < params.lanes {
            found[lane] = byte_of(images[first + lane * plane]);
        }
    }
    return found;
}

// factor * v + other, both with 20 bits behind the point, rounded down to bytes.
fn blended(v: vec4<i32>, factor: i32, other: vec4<i32>) -> vec4<i32> {
    return clamp((v * factor + other) >> vec4<u32>(20u), vec4<i32>(), vec4<i32>(255));
}

// 1 1 1 / 1 5 1 / 1 1 1 over 13 around a pixel that is v, to the nearest.
fn blurred(at: vec2<i32>, v: vec4<i32>) -> vec4<i32> {
    var sum = v * 4;
    for (var dy = -1; dy < 2; dy++) {
        for (var dx = -1; dx < 2; dx++) {
            sum += raw(at + vec2<i32>(dx, dy));
        }
    }
    return (2 * sum + vec4<i32>(13)) / vec4<i32>(26);
}

fn at_new_levels(v: vec4<i32>) -> vec4<i32> {
    var found: vec4<i32>;
    for (var lane = 0u; lane < most_lanes; lane++) {
        if lane < params.lanes {
            found[lane] = i32(tables[table + lane * TABLE + u32(v[lane])] & 255u);
        }
    }
    return found;
}

// A pixel of the image with its sharpness and levels, or the fill.
fn fetched(at: vec2<i32>) -> vec4<i32> {
    let inside = bordered(base, at);
    if any(inside < vec2<i32>()) {
        return vec4<i32>(i32(rows[base + FILL] & 255u));
    }
    var v = raw(inside);
    if picks == 1u {
        return v;
    }
    let sharpness = word(base, SHARPNESS);
    let last = vec2<i32>(vec2<u32>(params.width, params.height)) - vec2<i32>(1);
    if sharpness != ONE && all(inside > vec2<i32>()) && all(inside < last) {
        v = blended(v, sharpness, blurred(inside, v) * (ONE - sharpness));
    }
    if leveled == 1u && rows[base + LEVELS] != 0u {
        v = at_new_levels(v);
    }
    return v;
}

// The image between pixels, with 12 bits behind the point along each axis.
fn interpolated(at: vec2<i32>) -> vec4<i32> {
    let first = at >> vec2<u32>(16u);
    let f = vec2<u32>((at >> vec2<u32>(4u)) & vec2<i32>(4095));
    let a = vec4<u32>(fetched(first));
    let b = vec4<u32>(fetched(first + vec2<i32>(1, 0)));
    let c = vec4<u32>(fetched(first + vec2<i32>(0, 1)));
    let d = vec4<u32>(fetched(first + vec2<i32>(1, 1)));
    let above = a * (4096u - f.x) + b * f.x;
    let under = c * (4096u - f.x) + d * f.x;
    let sum = above * (4096u - f.y) + under * f.y + vec4<u32>(8388608u);
    return vec4<i32>(sum >> vec4<u32>(24u));
}

fn coloured(sampled: vec4<i32>, pixel: u32) -> vec4<i32> {
    var v = sampled;
    let contrast = word(base, CONTRAST);
    if leveled == 1u && contrast != ONE {
        // The mean stands in the table of channel 0.
        let mean = bitcast<i32>(tables[table - params.channel * TABLE + 256u]);
        v = blended(v, contrast, vec4<i32>(fixed_mul(ONE - contrast, mean)));
    }
    let saturation = word(base, SATURATION);
    if params.channels == 3u && saturation != ONE {
        let grey = (2989 * v.x + 5870 * v.y + 1140 * v.z) / 10000;
        v = blended(v, saturation, vec4<i32>(grey * (ONE - saturation)));
    }
    let brightness = word(base, BRIGHTNESS);
    if brightness != ONE {
        v = blended(v, brightness, vec4<i32>());
    }
    v = v & vec4<i32>(word(base, MASK) & 255);
    v = select(v, 255 - v, vec4<u32>(v) >= vec4<u32>(rows[base + THRESHOLD]));
    let noise = word(base, NOISE);
    if noise != 0 {
        let key = vec2<u32>(rows[base + KEY], rows[base + KEY + 1u]);
        let words = philox(vec4<u32>(pixel, params.channel, 0u, 0u), key);
        // Bytes 0 and 2 of each word with bytes 1 and 3.
        let halves = vec4<u32>(0xff00ffu);
        let pairs = (words & halves) + ((words >> vec4<u32>(8u)) & halves);
        let sum = vec4<i32>((pairs & vec4<u32>(0xffffu)) + (pairs >> vec4<u32>(16u)));
        let added = ((sum - vec4<i32>(510)) * noise + vec4<i32>(0x8000)) >> vec4<u32>(16u);
        v = clamp(v + added, vec4<i32>(), vec4<i32>(255));
    }
    return v;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let plane = params.height * params.width;
        let sample = quotient(i, plane);
        let pixel = i - sample * plane;
        let line = quotient(pixel, params.width);
        let column = pixel - line * params.width;
        let channel = sample * params.channels + params.channel;
        base = params.first_row + sample * params.words;
        image = params.first_image + channel * plane;
        table = params.first_table + channel * TABLE;
        let at = place(base, column, line);
        var v: vec4<i32>;
        if picks == 0u && (rows[base + FLAGS] & 1u) == 1u {
            v = interpolated(at);
        } else {
            v = fetched((at + vec2<i32>(0x8000)) >> vec2<u32>(16u));
        }
        if picks == 0u {
            v = coloured(v, pixel);
        }
        let scale = vec4<f32>(params.scale0, params.scale1, params.scale2, params.scale3);
        let shift = vec4<f32>(params.shift0, params.shift1, params.shift2, params.shift3);
        let made = select(vec4<f32>(v) * scale + shift, vec4<f32>(), in_box(base, column, line));
        store_lanes(params.first_y + channel * plane + pixel, made);
    }
}

fn store_lanes(first: u32, made: vec4<f32>) {
    let plane = params.height * params.width;
    for (var lane = 0u; lane < most_lanes; lane++) {
        if lane < params.lanes {
            y[first + lane * plane] = made[lane];
        }
    }
}
