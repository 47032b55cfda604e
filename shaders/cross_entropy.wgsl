// losses[row] = sum over the columns of share[column] * -log(softmax(logits)[column]), of norm or 1; 0 where a row does not count.
//
// Layout: logits [outer, columns, inner], a row runs along the columns; weight [columns]; valid one word: rows of an outer index from it
// on do not count, nor do those of the padding. share is weight * (1 - smoothing) at the label's column, or times the target's
// probability, plus weight * even everywhere. A label that is not below columns gives NaN. Where params.norms is not 0, the
// weight of the row's label lies so far behind its loss; with params.mean the loss is divided by the rows that count.
// Reference: src/ops/cross_entropy.rs. A row is made by one invocation or by one workgroup, as the provider says.
// Overrides: logarithm (1 where logits are logarithms of probabilities), every (1 where all columns have a share), workgroup_size.
// Providers: targets (target_labels or target_probabilities), lib/row_alone or lib/row_shared, lib/special, lib/divide, lib/grid,
// lib/float.

override logarithm: u32 = 0u;
override every: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    first: u32,
    at: u32,
    columns: u32,
    inner: u32,
    outer: u32,
    logits_base: u32,
    target_base: u32,
    norms: u32,
    mean: u32,
    ignores: u32,
    ignore_index: u32,
    keep: f32,
    even: f32,
    nan: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<uniform> valid: u32;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let columns = params.columns;
    let step = params.inner;
    let count = min(valid, params.outer) * step;
    let inside = row < params.rows && params.first + row < count;
    let place = select(0u, row, inside);
    let start = params.logits_base + quotient(place, step) * (columns - 1u) * step + place;
    let end = select(0u, columns, inside);
    // What the softmax of the row needs.
    let read = select(end, 0u, logarithm == 1u);

    var top = select(LOWEST_F32, 0.0, logarithm == 1u);
    for (var c = lane; c < read; c += LANES) {
        top = max(top, logits[start + c * step]);
    }
    top = row_max(top, local);
    var sum = 0.0;
    for (var c = lane; c < read; c += LANES) {
        sum += exp_or_nan(logits[start + c * step] - top);
    }
    sum = row_sum(sum, local);
    var log_sum = 0.0;
    if (logarithm == 0u) {
        log_sum = log4(vec4<f32>(sum)).x;
    }
    var loss = 0.0;
    if (every == 1u) {
        for (var c = lane; c < end; c += LANES) {
            let i = start + c * step;
            let share = weight[c] * (params.keep * probability(i) + params.even);
            loss += select(share * (log_sum - (logits[i] - top)), 0.0, share == 0.0);
        }
        loss = row_sum(loss, local);
    }
    if (row < params.rows && lane == 0u) {
        var norm = 0.0;
        if (inside) {
            let label = target_label(place);
            if (LABELS && params.ignores == 1u && label == params.ignore_index) {
                loss = 0.0;
            } else if (LABELS && label >= columns) {
                loss = params.nan;
            } else if (LABELS) {
                norm = weight[label];
                loss += params.keep * norm * (log_sum - (logits[start + label * step] - top));
            }
            if (params.mean == 1u) {
                loss = loss / f32(count);
            }
        }
        let at = params.at + row;
        losses[at] = loss;
        if (params.norms > 0u) {
            losses[params.norms + at] = norm;
        }
    }
}
