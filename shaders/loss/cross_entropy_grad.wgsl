// dlogits[row, column] = (sum(share) * softmax(logits[row])[column] - share[column]) * factor, 0
// where a row does not count; of logarithms of probabilities -share[column] * factor. What stands
// for the logits may also be sum(share) * softmax already.
//
// Columns from `begin` to `until` - 1 are made.
// Layout, share and params as in loss/cross_entropy.wgsl; factor is one float, divided by the rows
// that count with params.mean. A label that is not below columns gives a row of NaN; where all
// shares are 0 the row is not read.
// Reference: src/ops/loss/cross_entropy.rs. A row is made by one invocation or by one workgroup, as
// lanes says.
// Overrides: logarithm (1 where logits are logarithms of probabilities, 2 where they are sum(share)
// * softmax), every (1 where all columns have a share), workgroup_size.
// Providers: targets (target_labels or target_probabilities), lib/row_softmax, lib/elements,
// lib/rows, lib/divide, lib/grid, lib/float.

override logarithm: u32 = 0u;
override every: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    first: u32,
    columns: u32,
    inner: u32,
    outer: u32,
    logits_base: u32,
    target_base: u32,
    begin: u32,
    until: u32,
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
@group(0) @binding(4) var<uniform> factor: f32;
@group(0) @binding(5) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let columns = params.columns;
    let step = params.inner;
    let count = min(valid, params.outer) * step;
    let exists = row < params.rows;
    let place = select(0u, row, exists);
    let start = params.logits_base + quotient(place, step) * (columns - 1u) * step + place;
    let end = select(0u, columns, exists);
    // Rows that count, and what their softmax needs.
    var counts = exists && params.first + row < count;
    var label = columns;
    var scale = factor;
    if counts && params.mean == 1u {
        scale = factor / f32(count);
    }
    if counts && LABELS {
        label = target_label(place);
        if params.ignores == 1u && label == params.ignore_index {
            counts = false;
        } else if label >= columns {
            scale = params.nan;
        }
    }
    let read = select(0u, columns, counts && logarithm == 0u);

    var soft = RowSoftmax(0.0, 1.0);
    if logarithm == 0u {
        soft = row_softmax(start, start + read * step, step, local);
    }
    var own = 0.0;
    if counts && label < columns {
        own = params.keep * weight[label];
    }
    var total = 0.0;
    if every == 1u && logarithm == 0u {
        for (var c = lane; c < read; c += lanes) {
            total += weight[c] * (params.keep * probability(start + c * step) + params.even);
        }
        total = row_sum(total, local);
    }
    total += own;
    let part = 1.0 / soft.sum;
    for (var c = params.begin + lane; c < min(end, params.until); c += lanes) {
        let i = start + c * step;
        var gradient = 0.0;
        if counts {
            var share = select(0.0, own, c == label);
            if every == 1u {
                share += weight[c] * (params.keep * probability(i) + params.even);
            }
            if logarithm == 0u {
                gradient = select(
                    total * (exp(logits[i] - soft.top) * part), 0.0, total == 0.0
                );
            } else if logarithm == 2u {
                gradient = logits[i];
            }
            gradient = (gradient - share) * scale;
        }
        dlogits[i] = gradient;
    }
}
