// partials[c, s] = what chunk c of set s of elements comes to: the first stage of all sums of the
// normalisations.
//
// Layout: set s is `runs` runs of `length` neighbouring loads; run r of it begins at load base + s
// * length + r * run_stride. A load is one element or four of them (or, along columns, one element
// of each of four sets, and sets count fours). Chunk c takes every chunks-th load of its set from
// begin + c on, up to load `until` - 1. Neighbouring invocations make neighbouring chunks of one
// set or, with sets_first, the same chunk of neighbouring sets, so that they read neighbouring
// addresses. With resume = 1 the partials continue those of other rows or loads.
// Reference: src/ops/norm/statistics.rs, src/ops/norm/normalize.rs.
// One invocation makes one chunk, one workgroup workgroup_size of them.
// Overrides: workgroup_size.
// Providers: Sums, first_sums, add, advanced, settled, block_end and store (norm_moments or
// norm_sums), Element (norm_elements or norm_quads), table (norm_table_*), lib/divide, lib/float,
// lib/grid; see there.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    sets: u32,
    chunks: u32,
    sets_first: u32,
    length: u32,
    runs: u32,
    run_stride: u32,
    base: u32,
    // From a load of a chunk to the next one: how far that lies in its run, and in all; and how far
    // in all where it lies in a further run than that.
    step_loads: u32,
    step: u32,
    step_over: u32,
    begin: u32,
    until: u32,
    resume: u32,
    // Whether moments are taken about the mean; whether sums are weighted.
    flag: u32,
    // What changes from load to load of a set: 0 nothing, 1 the statistic, 2 the weight; and how
    // far its number is moved by both steps, beside the loads that it has in common with others.
    moves: u32,
    step_numbers: u32,
    step_rest: u32,
    step_over_numbers: u32,
    step_over_rest: u32,
    statistic_length: u32,
    statistics: u32,
    span: u32,
    affines: u32,
    weights: u32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.sets * params.chunks {
        let sets_first = params.sets_first == 1u;
        let inner = select(params.chunks, params.sets, sets_first);
        let high = i / inner;
        let low = i % inner;
        let own = select(high, low, sets_first);
        let chunk = select(low, high, sets_first);
        let length = params.length;
        let chunks = params.chunks;
        let until = params.until;
        let first = params.begin + chunk;
        let run = first / length;
        var load = first - run * length;
        var at = own * length + run * params.run_stride + load;
        var sums = first_sums(at);
        var j = first;
        while j < until {
            let end = block_end(j);
            for (; j < end; j += chunks) {
                sums = add(sums, at);
                load += params.step_loads;
                let over = load >= length;
                load -= select(0u, length, over);
                at += select(params.step, params.step_over, over);
                sums = advanced(sums, over);
            }
            sums = settled(sums);
        }
        store(chunk * params.sets + own, sums);
    }
}
