// tables[n, c] = the new levels of channel c of image n, where row n asks for some, and the mean
// grey of the image in that of channel 0, where the row changes its contrast.
//
//     autocontrast  (max(level, low) - low) * 255 / (high - low)
//     equalize      (below(level) + step / 2) / step,  step = (plane - count(high)) / 255
//
// low and high are the lowest and the highest level that occur, count(level) how many pixels are of
// a level, below(level) of lower ones; all quotients are rounded down and levels end at 255.
//
// Layout: images [rows, channels, height, width] of f32 that hold bytes, plane = height * width;
// rows [rows, words]; tables [rows, channels, 257]: 256 levels, the mean with 16 bits behind the
// point; each from its first element on. Levels that nobody asks for are the old ones, a mean is 0.
// Reference: src/ops/augment/tables.rs.
// One workgroup makes the table of a channel, one invocation one level of it. Counts are integers,
// so that their order does not matter.
// Overrides: workgroup_size (256, one for each level). Providers: augment/row, augment/bytes,
// lib/grid, lib/float.

override workgroup_size: u32 = 256u;

struct Params {
    grid: Grid,
    first_image: u32,
    first_row: u32,
    first_table: u32,
    channels: u32,
    plane: u32,
    words: u32,
}

@group(0) @binding(0) var<storage, read> images: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> tables: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const TABLE: u32 = 257u;

var<workgroup> counts: array<atomic<u32>, 256>;
var<workgroup> greys: atomic<u32>;
var<workgroup> lowest: atomic<u32>;
var<workgroup> highest: atomic<u32>;
// Pixels of the levels up to each one, in two halves that take turns.
var<workgroup> below: array<u32, 512>;

fn grey(image: u32, pixel: u32) -> u32 {
    let first = image + pixel;
    if params.channels == 3u {
        let red = byte_of(images[first]);
        let green = byte_of(images[first + params.plane]);
        let blue = byte_of(images[first + 2u * params.plane]);
        return u32((2989 * red + 5870 * green + 1140 * blue) / 10000);
    }
    var sum = 0u;
    for (var channel = 0u; channel < params.channels; channel++) {
        sum += u32(byte_of(images[first + channel * params.plane]));
    }
    return sum / params.channels;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) level: u32) {
    let index = min(workgroup_index(group), params.grid.count - 1u);
    let sample = index / params.channels;
    let channel = index % params.channels;
    let base = params.first_row + sample * params.words;
    let image = params.first_image + sample * params.channels * params.plane;
    let kind = rows[base + LEVELS];
    let counted = select(0u, params.plane, kind != 0u);
    let averaged = select(0u, params.plane, channel == 0u && rows[base + CONTRAST] != u32(ONE));
    atomicStore(&counts[level], 0u);
    if level == 0u {
        atomicStore(&greys, 0u);
        atomicStore(&lowest, 255u);
        atomicStore(&highest, 0u);
    }
    workgroupBarrier();
    for (var pixel = level; pixel < counted; pixel += workgroup_size) {
        atomicAdd(&counts[byte_of(images[image + channel * params.plane + pixel])], 1u);
    }
    var sum = 0u;
    for (var pixel = level; pixel < averaged; pixel += workgroup_size) {
        sum += grey(image, pixel);
    }
    atomicAdd(&greys, sum);
    workgroupBarrier();
    let count = atomicLoad(&counts[level]);
    if count > 0u {
        atomicMin(&lowest, level);
        atomicMax(&highest, level);
    }
    below[level] = count;
    workgroupBarrier();
    var read = 0u;
    for (var reach = 1u; reach < 256u; reach *= 2u) {
        var upto = below[read + level];
        if level >= reach {
            upto += below[read + level - reach];
        }
        below[256u - read + level] = upto;
        read = 256u - read;
        workgroupBarrier();
    }
    let low = atomicLoad(&lowest);
    let high = atomicLoad(&highest);
    var made = level;
    if kind == 1u && high > low {
        made = min((max(level, low) - low) * 255u / (high - low), 255u);
    }
    if kind == 2u {
        // The last level that occurs is left out (torchvision's rule).
        let step = (params.plane - atomicLoad(&counts[high])) / 255u;
        if step > 0u {
            made = min((below[read + level] - count + step / 2u) / step, 255u);
        }
    }
    if workgroup_index(group) == index {
        let table = params.first_table + index * TABLE;
        tables[table + level] = made;
        if level == 0u {
            tables[table + 256u] = mean(select(0u, atomicLoad(&greys), averaged > 0u));
        }
    }
}

// sum / plane with 16 bits behind the point, rounded down.
fn mean(sum: u32) -> u32 {
    let rest = (sum % params.plane) << 8u;
    let last = (rest % params.plane) << 8u;
    return ((sum / params.plane) << 16u) | ((rest / params.plane) << 8u) | (last / params.plane);
}
