// texel = shown(restored(y * scale + shift)), as an image, through a map of colours or by classes.
//
// Layout: y is [samples, channels, height, width]; `base` is where the sample, and the first of its
// channels that is shown, begins. `table` holds the scales, the shifts, and from row 2 on the
// colours (red, green, blue, alpha). The texture is written whole, or, where rows is not 0, in
// rows x columns texels from `origin` (top, left) on; y is stretched over that. Where `skips` is 1,
// `origin` goes on with how many rows and columns of these are left out first: tiles that overlap
// are written in order, and each leaves to the one before it what that one knows better.
//
//     tile 0  |========== written ==========|
//     tile 1              |- skipped -|========== written ==========|
//
// Where `over` has a picture, that lies behind, stretched over the whole texture. Reference:
// src/ops/texture/write.rs. One invocation writes every `stride`-th texel, one workgroup
// workgroup_size at a time. Params: paint (0 image of 1, 3 or 4 channels, 1 map of one channel from
// 0 to 1, 2 class of the largest channel), linear (0: the nearest element), flips (bit 0: columns,
// 1: rows). Overrides: workgroup_size. Providers: put, over (over_none or over_texture),
// texture/transfer, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    stride: u32,
    channels: u32,
    height: u32,
    width: u32,
    base: u32,
    rows: u32,
    columns: u32,
    skips: u32,
    flips: u32,
    linear: u32,
    paint: u32,
    transfer: u32,
    curve: u32,
    colours: u32,
    opacity: f32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> exposure: array<f32>;
@group(0) @binding(3) var<storage, read> origin: array<u32>;

// The two elements around an output along one axis, and the weight of the second.
struct Taps {
    first: u32,
    second: u32,
    above: f32,
}

fn taps(o: u32, outputs: u32, size: u32) -> Taps {
    let middle = (2u * o + 1u) * size;
    let nearest = middle / (2u * outputs);
    if params.linear == 0u || outputs == size {
        return Taps(nearest, nearest, 0.0);
    }
    let place = max(middle, outputs) - outputs;
    let first = place / (2u * outputs);
    let above = f32(place - first * 2u * outputs) / f32(2u * outputs);
    return Taps(first, min(first + 1u, size - 1u), above);
}

// An element; NaN and infinities are 0.
fn number(i: u32) -> f32 {
    let x = y[i];
    return select(x, 0.0, (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u);
}

fn element(channel: u32, down: Taps, along: Taps) -> f32 {
    let plane = params.base + channel * params.height * params.width;
    let row0 = plane + down.first * params.width;
    if params.linear == 0u {
        return number(row0 + along.first);
    }
    let row1 = plane + down.second * params.width;
    let low = 1.0 - along.above;
    let line0 = low * number(row0 + along.first) + along.above * number(row0 + along.second);
    let line1 = low * number(row1 + along.first) + along.above * number(row1 + along.second);
    return (1.0 - down.above) * line0 + down.above * line1;
}

// Channel k of an image as it is shown.
fn painted(k: u32, down: Taps, along: Taps) -> f32 {
    let number = element(k, down, along) * table[0][k] + table[1][k];
    return shown(restored(number, params.transfer, exposure[0]), params.curve);
}

fn image(down: Taps, along: Taps) -> vec4<f32> {
    let first = painted(0u, down, along);
    if params.channels < 3u {
        return vec4<f32>(first, first, first, 1.0);
    }
    var alpha = 1.0;
    if params.channels == 4u {
        alpha = element(3u, down, along) * table[0][3] + table[1][3];
    }
    return vec4<f32>(first, painted(1u, down, along), painted(2u, down, along), alpha);
}

fn mapped(down: Taps, along: Taps) -> vec4<f32> {
    let number = element(0u, down, along) * table[0][0] + table[1][0];
    let place = clamp(number, 0.0, 1.0) * f32(params.colours - 1u);
    let first = min(u32(place), params.colours - 1u);
    let second = min(first + 1u, params.colours - 1u);
    return mix(table[2u + first], table[2u + second], place - f32(first));
}

// The first of the largest.
fn class_colour(down: Taps, along: Taps) -> vec4<f32> {
    var best = 0u;
    var most = LOWEST_F32;
    for (var k = 0u; k < params.channels; k++) {
        let score = element(k, down, along);
        if score > most {
            most = score;
            best = k;
        }
    }
    return table[2u + best];
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let size = target_size();
    let whole = params.rows == 0u;
    let rows = select(params.rows, size.y, whole);
    let columns = select(params.columns, size.x, whole);
    let corner = select(vec2<u32>(origin[1], origin[0]), vec2<u32>(), vec2<bool>(whole));
    var skipped = vec2<u32>();
    if params.skips == 1u {
        skipped = vec2<u32>(origin[3], origin[2]);
    }
    let count = rows * columns;
    let start = workgroup_index(group) * workgroup_size + local;
    if start < params.stride {
        for (var i = start; i < count; i += params.stride) {
            let row = i / columns;
            let column = i - row * columns;
            let at = corner + vec2<u32>(column, row);
            let left_out = any(vec2<u32>(column, row) < skipped);
            if left_out || any(corner >= size) || any(at >= size) {
                continue;
            }
            let down_row = select(row, rows - 1u - row, (params.flips & 2u) != 0u);
            let along_column = select(column, columns - 1u - column, (params.flips & 1u) != 0u);
            let down = taps(down_row, rows, params.height);
            let along = taps(along_column, columns, params.width);
            var colour = vec4<f32>();
            if params.paint == 0u {
                colour = image(down, along);
            } else if params.paint == 1u {
                colour = mapped(down, along);
            } else {
                colour = class_colour(down, along);
            }
            colour = select(colour, vec4<f32>(), is_not_finite4(colour));
            put(at, over(at, size, colour));
        }
    }
}
