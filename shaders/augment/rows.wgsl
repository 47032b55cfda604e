// rows[n] = what the stages of a table do to image indices[n]: one choice of each, drawn by image
// and epoch; then the knots of a field of displacements.
//
// Layout: clock is seed low, seed high, step, unused; indices [count], rows [count, words], from
// first_index and first_row on; table [lines, 32]: first one line for each stage (first line of its
// choices, how many, whether an image gets them in turn), then the choices: a row of 24 words,
// ranges of shifts x and y, ranges of shifts of the box. A row is followed by 4 * quads words of
// its field, a few less in the last. The random words of stage s are Philox blocks 2s and 2s + 1 of
// (image, stream, epoch), those of the field from block 64 on. Reference: src/ops/augment/rows.rs.
// One invocation makes a row, or four words of its field; one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: augment/row, lib/fixed, lib/philox, lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    first_index: u32,
    first_row: u32,
    stages: u32,
    lines: u32,
    stream: u32,
    steps: u32,
    quads: u32,
    words: u32,
    most: u32,
}

@group(0) @binding(0) var<uniform> clock: vec4<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

const LINE: u32 = 32u;
const MOST_STAGES: u32 = 16u;
const FIELD: u32 = 64u;
// The bits of the flags that hold the border.
const BORDER: u32 = 6u;

fn draw(block: u32, index: u32, epoch: u32) -> vec4<u32> {
    return philox(vec4<u32>(block, index, params.stream, epoch), clock.xy);
}

// Where the choice of a stage lies in the table.
fn chosen(stage: u32, pick: u32, index: u32, epoch: u32) -> u32 {
    let line = stage * LINE;
    let count = table[line + 1u];
    var choice = below(pick, count);
    if table[line + 2u] != 0u {
        // Drawn once, as if in an epoch that no clock reaches.
        choice = (below(draw(2u * stage, index, 0xffffffffu).x, count) + epoch) % max(count, 1u);
    }
    return min(table[line] + choice, params.lines - 1u) * LINE;
}

fn entry(at: u32) -> i32 {
    return bitcast<i32>(table[at]);
}

// Four words of the field of a row.
fn write_knots(base: u32, quad: u32, index: u32, epoch: u32) {
    let words = draw(FIELD + quad, index, epoch);
    for (var lane = 0u; lane < 4u; lane++) {
        let word = ROW + 4u * quad + lane;
        if word < params.words {
            rows[base + word] = below(words[lane], 2u * params.most + 1u) - params.most;
        }
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i >= params.count {
        return;
    }
    let sample = i / (params.quads + 1u);
    let quad = i % (params.quads + 1u);
    let index = indices[params.first_index + sample];
    let epoch = clock.z / params.steps;
    let base = (params.first_row + sample) * params.words;
    if quad > 0u {
        write_knots(base, quad - 1u, index, epoch);
        return;
    }
    var x = vec3<i32>(65536, 0, 0);
    var y = vec3<i32>(0, 65536, 0);
    var other: array<u32, 24>;
    for (var word = FLAGS; word < ROW; word++) {
        other[word] = neutral(word);
    }
    for (var stage = 0u; stage < MOST_STAGES; stage++) {
        if stage >= params.stages {
            break;
        }
        let first = draw(2u * stage, index, epoch);
        let second = draw(2u * stage + 1u, index, epoch);
        let line = chosen(stage, first.x, index, epoch);
        // An output pixel is looked up through the last stage first.
        let shift_x = entry(line + 2u) + i32(below(first.y, table[line + ROW]) << 16u);
        let shift_y = entry(line + 5u) + i32(below(first.z, table[line + ROW + 1u]) << 16u);
        let own_x = vec3<i32>(entry(line), entry(line + 1u), shift_x);
        let own_y = vec3<i32>(entry(line + 3u), entry(line + 4u), shift_y);
        x = through(x, own_x, own_y);
        y = through(y, own_x, own_y);
        // Linear sampling stays for the stages that follow, a border until one of them sets
        // another.
        let flags = table[line + FLAGS];
        let border = select(flags & BORDER, other[FLAGS] & BORDER, (flags & BORDER) == 0u);
        other[FLAGS] = ((other[FLAGS] | flags) & 1u) | border;
        for (var word = FILL; word < ROW; word++) {
            let value = table[line + word];
            if value != neutral(word) {
                other[word] = value;
            }
        }
        if table[line + BOX_WIDTH] != 0u {
            other[BOX_X] = table[line + BOX_X] + below(first.w, table[line + ROW + 2u]);
            other[BOX_Y] = table[line + BOX_Y] + below(second.x, table[line + ROW + 3u]);
        }
        if table[line + NOISE] != 0u {
            other[KEY] = second.y;
            other[KEY + 1u] = second.z;
        }
    }
    for (var axis = 0u; axis < 3u; axis++) {
        rows[base + axis] = bitcast<u32>(x[axis]);
        rows[base + 3u + axis] = bitcast<u32>(y[axis]);
    }
    for (var word = FLAGS; word < ROW; word++) {
        rows[base + word] = other[word];
    }
}

// A line `old` of the matrix so far, through that of a stage:
//
//         | own_x |
//   old * | own_y |
//         | 0 0 1 |
fn through(old: vec3<i32>, own_x: vec3<i32>, own_y: vec3<i32>) -> vec3<i32> {
    let turned = vec3<i32>(
        fixed_mul(own_x.x, old.x) + fixed_mul(own_y.x, old.y),
        fixed_mul(own_x.y, old.x) + fixed_mul(own_y.y, old.y),
        fixed_mul(own_x.z, old.x) + fixed_mul(own_y.z, old.y),
    );
    return turned + vec3<i32>(0, 0, old.z);
}
