// losses[chunk] = sum over every chunks-th row from row chunk on, and over its columns, of
// share[column] * -log(softmax(logits)[column]); 0 where a row does not count.
//
// Layout: logits [outer, columns, inner], a row runs along the columns; weight [columns]; valid one
// word: rows of an outer index from it on do not count. A class whose share is 0 is not read. share
// is weight * (1 - smoothing) at the label's column, or times the target's probability, plus weight
// * even everywhere. A label that is not below columns gives NaN. Where params.norms is not 0, the
// sum of the weights of the rows' labels lies so far behind that of their losses; with params.mean
// losses are divided by the rows that count. Only shares of columns from `begin` to `until` - 1
// are looked at. Where begin is not 0, the losses go on with what they hold.
// Reference: src/ops/loss/cross_entropy.rs. A chunk is made by one invocation or by one workgroup,
// as lanes says.
// Overrides: logarithm (1 where logits are logarithms of probabilities), every (1 where all columns
// have a share), workgroup_size.
// Providers: targets (target_labels or target_probabilities), lib/row_softmax, lib/elements,
// lib/rows, lib/special, lib/divide, lib/grid, lib/float.

override logarithm: u32 = 0u;
override every: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    chunks: u32,
    first: u32, // rows before these
    at: u32, // chunks before these
    columns: u32,
    inner: u32,
    outer: u32,
    logits_base: u32,
    target_base: u32,
    begin: u32,
    until: u32,
    norms: u32,
    mean: u32,
    ignores: u32,
    ignore_index: u32,
    keep: f32,
    even: f32,
    nan: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<uniform> valid: u32;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let chunk = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let columns = params.columns;
    let step = params.inner;
    let count = min(valid, params.outer) * step;
    // The row's place in its outer index, and what moves both from round to round.
    let outer_step = quotient(params.chunks, step);
    let inner_step = params.chunks - outer_step * step;
    var outer = quotient(chunk, step);
    var inner = chunk - outer * step;
    var losses_sum = 0.0;
    var norms_sum = 0.0;
    // Rounds, each of a row in every chunk: no invocation leaves before the others.
    for (var before = 0u; before < params.rows; before += params.chunks) {
        let row = before + chunk;
        let inside = chunk < params.chunks && row < params.rows && params.first + row < count;
        let start = params.logits_base + select(0u, outer * columns * step + inner, inside);
        let end = select(0u, columns, inside);
        // Logits that are logarithms of probabilities need no softmax.
        var top = 0.0;
        var log_sum = 0.0;
        if logarithm == 0u {
            let soft = row_softmax(start, start + end * step, step, local);
            top = soft.top;
            log_sum = log4(vec4<f32>(soft.sum)).x;
        }
        var loss = 0.0;
        if every == 1u {
            for (var c = params.begin + lane; c < min(end, params.until); c += lanes) {
                let i = start + c * step;
                let share = weight[c] * (params.keep * probability(i) + params.even);
                loss += select(share * (log_sum - (logits[i] - top)), 0.0, share == 0.0);
            }
            loss = row_sum(loss, local);
        }
        if inside && lane == 0u {
            let label = target_label(row);
            if LABELS && params.ignores == 1u && label == params.ignore_index {
                loss = 0.0;
            } else if LABELS && label >= columns {
                loss = params.nan;
            } else if LABELS && label >= params.begin && label < params.until {
                let norm = weight[label];
                let share = params.keep * norm;
                loss += select(
                    share * (log_sum - (logits[start + label * step] - top)), 0.0, share == 0.0
                );
                norms_sum += norm;
            }
            losses_sum += loss;
        }
        outer += outer_step;
        inner += inner_step;
        if inner >= step {
            inner -= step;
            outer += 1u;
        }
    }
    if params.mean == 1u && count > 0u {
        losses_sum = losses_sum / f32(count);
    }
    if chunk < params.chunks && lane == 0u {
        let at = params.at + chunk;
        let resume = params.begin > 0u;
        losses[at] = losses_sum + select(0.0, losses[at], resume);
        if params.norms > 0u {
            losses[params.norms + at] = norms_sum + select(0.0, losses[params.norms + at], resume);
        }
    }
}
