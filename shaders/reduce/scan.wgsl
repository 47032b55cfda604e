// y[a] = the sum of x[0] to x[a] along one axis, within blocks of elements.
//
// Layout: x and y [outer, .., inner], each from its base on; element a is the one at place a along
// the axis, or at the same distance from the end where x_reverse or y_reverse is 1. Of x, whose
// axis holds `held` elements, only those that end a run of `step` are summed; the last run may be
// shorter. Reference: src/ops/reduce/cumsum.rs.
// Each block of a line is summed by one invocation in order, or by one workgroup, whose invocations
// take four neighbouring elements each.
// Overrides: lanes (1 or workgroup_size), workgroup_size. Providers: lib/grid, lib/divide.

override lanes: u32 = 1u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    runs: u32,
    blocks: u32,
    extent: u32,
    inner: u32,
    held: u32,
    step: u32,
    x_base: u32,
    y_base: u32,
    x_reverse: u32,
    y_reverse: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

// Elements that one invocation sums alone.
const ALONE: u32 = 64u;

var<workgroup> elements: array<f32, 256>;
var<workgroup> totals: array<f32, 64>;

// Where element a of the line that begins with element i of row `outer` is read.
fn source(outer: u32, a: u32, i: u32) -> u32 {
    let end = min((a + 1u) * params.step, params.held) - 1u;
    let place = select(end, params.held - 1u - end, params.x_reverse == 1u);
    return params.x_base + (outer * params.held + place) * params.inner + i;
}

fn target_of(outer: u32, a: u32, i: u32) -> u32 {
    let place = select(a, params.extent - 1u - a, params.y_reverse == 1u);
    return params.y_base + (outer * params.extent + place) * params.inner + i;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var run = workgroup_index(group);
    if lanes == 1u {
        run = run * workgroup_size + local;
    }
    let inside = run < params.runs;
    let rest = quotient(run, params.inner);
    let i = run - rest * params.inner;
    let outer = quotient(rest, params.blocks);
    let block = rest - outer * params.blocks;
    if lanes == 1u {
        if inside {
            alone(outer, block, i);
        }
    } else {
        together(outer, block, i, inside, local);
    }
}

// One invocation.
fn alone(outer: u32, block: u32, i: u32) {
    var sum = 0.0;
    for (var t = 0u; t < ALONE; t++) {
        let a = block * ALONE + t;
        if a < params.extent {
            sum += x[source(outer, a, i)];
            y[target_of(outer, a, i)] = sum;
        }
    }
}

// All invocations of a workgroup.
fn together(outer: u32, block: u32, i: u32, inside: bool, local: u32) {
    let begin = block * 4u * lanes;
    for (var t = 0u; t < 4u; t++) {
        let a = begin + t * lanes + local;
        var value = 0.0;
        if inside && a < params.extent {
            value = x[source(outer, a, i)];
        }
        elements[t * lanes + local] = value;
    }
    workgroupBarrier();
    let own = 4u * local;
    let sum0 = elements[own];
    let sum1 = sum0 + elements[own + 1u];
    let sum2 = sum1 + elements[own + 2u];
    let sum3 = sum2 + elements[own + 3u];
    var total = sum3;
    totals[local] = total;
    workgroupBarrier();
    // After a turn, the totals hold the sums of the last 2 step invocations.
    for (var step = 1u; step < 64u; step = step * 2u) {
        if local >= step {
            total += totals[local - step];
        }
        workgroupBarrier();
        totals[local] = total;
        workgroupBarrier();
    }
    if local > 0u {
        let before = totals[local - 1u];
        elements[own] = before + sum0;
        elements[own + 1u] = before + sum1;
        elements[own + 2u] = before + sum2;
        elements[own + 3u] = before + sum3;
    } else {
        elements[1] = sum1;
        elements[2] = sum2;
        elements[3] = sum3;
    }
    workgroupBarrier();
    for (var t = 0u; t < 4u; t++) {
        let a = begin + t * lanes + local;
        if inside && a < params.extent {
            y[target_of(outer, a, i)] = elements[t * lanes + local];
        }
    }
}
