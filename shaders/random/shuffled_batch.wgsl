// indices[row] = the element number position * batch + row of the epoch's order of 0..count, valid
// = how many of them there are.
//
// Layout: clock is seed low, seed high, step, unused; indices are rows first to first + rows - 1 of
// [made], valid one word. An epoch has
// `steps` steps; `made` rows are made of a batch. Where the data end, rows are not valid if padded
// is 1, else they are the first of the order. The order is a balanced Feistel network of 8 rounds
// on 2 * half_bits bits, applied until the result is below count; its round function is Philox,
// keyed by the seed. Rows beyond valid get 0. Reference: src/ops/random/batches.rs.
// One invocation makes one row, one workgroup workgroup_size of them.
// Overrides: shuffle (0 leaves the order as it is), workgroup_size. Providers: lib/philox,
// lib/grid.

override shuffle: u32 = 1u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    first: u32,
    rows: u32,
    count: u32,
    batch: u32,
    made: u32,
    padded: u32,
    steps: u32,
    half_bits: u32,
    stream: u32,
    rounds: u32, // 8: a bound that no compiler unrolls
}

@group(0) @binding(0) var<uniform> clock: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> valid: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

fn permute(value: u32, epoch: u32) -> u32 {
    let mask = (1u << params.half_bits) - 1u;
    var left = value >> params.half_bits;
    var right = value & mask;
    for (var round = 0u; round < params.rounds; round++) {
        let word = philox(vec4<u32>(right, round, params.stream, epoch), clock.xy).x;
        let next = left ^ (word & mask);
        left = right;
        right = next;
    }
    return (left << params.half_bits) | right;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.rows {
        let row = params.first + i;
        let epoch = clock.z / params.steps;
        let start = (clock.z % params.steps) * params.batch;
        let there = params.count - start;
        let rows = select(params.made, min(params.made, there), params.padded == 1u);
        var element = 0u;
        if row < rows {
            element = select(row - there, start + row, row < there);
            if shuffle == 1u {
                loop {
                    element = permute(element, epoch);
                    if element < params.count {
                        break;
                    }
                }
            }
        }
        indices[i] = element;
        if row == 0u {
            valid[0] = rows;
        }
    }
}
