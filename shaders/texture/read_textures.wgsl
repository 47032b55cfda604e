// x[channel, row, column] = transfer(texel) * scale + shift, of up to four textures, resized.
//
// Layout: x is [1, channels, height, width]. Component k of texture t goes into the channel that
// row 4 * t + k of `table` names: (channel, or -1 for none; transfer; scale; shift). Where `video`
// is 1, textures 0 and 1 are the planes of one picture, which counts as texture 0: red, green and
// blue are (luma, chroma.x, chroma.y, 1) times the rows r, g and b.
// A texture is cut to crop_height x crop_width texels from `origin` (top, left) on, or, where those
// are 0, taken whole; chroma, the second plane, to half of that from half of `origin` on. Texels
// past an edge are those at the edge; NaN and infinities count as 0.
// Reference: src/ops/texture/read.rs. One invocation makes one pixel of all channels, one workgroup
// workgroup_size of them. Unused textures are bound to the first. Params: textures (how many),
// resize (0 nearest, 1 bilinear, 2 area), flips (bits 2 * t: columns, 2 * t + 1: rows). Overrides:
// workgroup_size. Providers: lib/transfer, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    height: u32,
    width: u32,
    crop_height: u32,
    crop_width: u32,
    textures: u32,
    resize: u32,
    flips: u32,
    video: u32,
    r0: f32,
    r1: f32,
    r2: f32,
    r3: f32,
    g0: f32,
    g1: f32,
    g2: f32,
    g3: f32,
    b0: f32,
    b1: f32,
    b2: f32,
    b3: f32,
}

@group(0) @binding(0) var texture0: texture_2d<f32>;
@group(0) @binding(1) var texture1: texture_2d<f32>;
@group(0) @binding(2) var texture2: texture_2d<f32>;
@group(0) @binding(3) var texture3: texture_2d<f32>;
@group(0) @binding(4) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> exposure: array<f32>;
@group(0) @binding(6) var<storage, read> origin: array<u32>;
@group(0) @binding(7) var<storage, read_write> x: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

// What an output reads along one axis: texels first to last, of which the first has the weight
// `low`, the last `high`, and those between `inner`.
struct Taps {
    first: u32,
    last: u32,
    low: f32,
    inner: f32,
    high: f32,
}

// Output o of `outputs` over `size` texels:
//
//   nearest    the texel that holds the middle of the output
//   bilinear   the two texels whose middles are around it
//   area       all texels under it, by how much of the output each covers:
//
//     outputs  |      0      |      1      |      2      |      3      |
//     texels   |    0    |    1    |    2    |    3    |    4    |  ..
//
// Distances are whole numbers: of 1 / (2 * outputs) of a texel, or 1 / outputs for areas.
fn taps(o: u32, outputs: u32, size: u32) -> Taps {
    if params.resize == 2u {
        let begin = o * size;
        let end = begin + size;
        let first = begin / outputs;
        let last = (end - 1u) / outputs;
        let whole = f32(size);
        let low = f32(min(end, (first + 1u) * outputs) - begin) / whole;
        let high = f32(end - last * outputs) / whole;
        return Taps(first, last, low, f32(outputs) / whole, high);
    }
    let middle = (2u * o + 1u) * size;
    if params.resize == 0u {
        let nearest = middle / (2u * outputs);
        return Taps(nearest, nearest, 1.0, 1.0, 1.0);
    }
    let place = max(middle, outputs) - outputs;
    let first = place / (2u * outputs);
    let above = f32(place - first * 2u * outputs) / f32(2u * outputs);
    if first + 1u >= size {
        return Taps(size - 1u, size - 1u, 1.0, 1.0, 1.0);
    }
    return Taps(first, first + 1u, 1.0 - above, 1.0, above);
}

fn weight(taps: Taps, at: u32) -> f32 {
    let rest = select(taps.inner, taps.high, at == taps.last);
    return select(rest, taps.low, at == taps.first);
}

// The texture at one pixel of the output; `flips` are its two bits. Its window is `part` times
// smaller than that of the others: that of chroma 2.
fn sampled(image: texture_2d<f32>, row: u32, column: u32, flips: u32, part: u32) -> vec4<f32> {
    let dimensions = textureDimensions(image);
    let whole = params.crop_height == 0u;
    let height = select((params.crop_height + part - 1u) / part, dimensions.y, whole);
    let width = select((params.crop_width + part - 1u) / part, dimensions.x, whole);
    // Beyond the edge all texels are those at the edge; so the sums below stay in range.
    let top = select(min(origin[0] / part, dimensions.y), 0u, whole);
    let left = select(min(origin[1] / part, dimensions.x), 0u, whole);
    let y = select(row, params.height - 1u - row, (flips & 2u) != 0u);
    let x = select(column, params.width - 1u - column, (flips & 1u) != 0u);
    let down = taps(y, params.height, height);
    let along = taps(x, params.width, width);
    var sum = vec4<f32>();
    for (var i = down.first; i <= down.last; i++) {
        var line = vec4<f32>();
        for (var j = along.first; j <= along.last; j++) {
            let at = min(vec2<u32>(left + j, top + i), dimensions - vec2<u32>(1u));
            let texel = textureLoad(image, vec2<i32>(at), 0);
            line += weight(along, j) * select(texel, vec4<f32>(), is_not_finite4(texel));
        }
        sum += weight(down, i) * line;
    }
    return sum;
}

fn put(pixel: u32, row: u32, texel: f32) {
    let entry = table[row];
    if entry.x >= 0.0 {
        let value = transferred(texel, u32(entry.y), exposure[0]);
        x[u32(entry.x) * params.count + pixel] = value * entry.z + entry.w;
    }
}

fn put4(pixel: u32, row: u32, texel: vec4<f32>) {
    put(pixel, row, texel.x);
    put(pixel, row + 1u, texel.y);
    put(pixel, row + 2u, texel.z);
    put(pixel, row + 3u, texel.w);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let pixel = workgroup_index(group) * workgroup_size + local;
    if pixel < params.count {
        let row = pixel / params.width;
        let column = pixel - row * params.width;
        let flips = params.flips;
        var first = sampled(texture0, row, column, flips, 1u);
        if params.video == 1u {
            let chroma = sampled(texture1, row, column, flips >> 2u, 2u);
            let planes = vec4<f32>(first.x, chroma.xy, 1.0);
            let red = vec4<f32>(params.r0, params.r1, params.r2, params.r3);
            let green = vec4<f32>(params.g0, params.g1, params.g2, params.g3);
            let blue = vec4<f32>(params.b0, params.b1, params.b2, params.b3);
            first = vec4<f32>(dot(red, planes), dot(green, planes), dot(blue, planes), 1.0);
        }
        put4(pixel, 0u, first);
        if params.textures > 1u && params.video == 0u {
            put4(pixel, 4u, sampled(texture1, row, column, flips >> 2u, 1u));
        }
        if params.textures > 2u {
            put4(pixel, 8u, sampled(texture2, row, column, flips >> 4u, 1u));
        }
        if params.textures > 3u {
            put4(pixel, 12u, sampled(texture3, row, column, flips >> 6u, 1u));
        }
    }
}
