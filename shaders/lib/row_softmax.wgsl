// Provider of row_softmax: what the softmax of a row of `logits` is made of.
//
// The row is the elements first, first + step, ... below end; each lane takes every lanes-th of
// them. Of none, the largest is LOWEST_F32 and the sum 0. Every invocation calls it (see
// lib/rows). A NaN reaches the sum whatever the largest is.

struct RowSoftmax {
    top: f32, // the largest
    sum: f32, // of exp(logit - top)
}

fn row_softmax(first: u32, end: u32, step: u32, local: u32) -> RowSoftmax {
    let own = first + row_lane(local) * step;
    var row = RowSoftmax(LOWEST_F32, 0.0);
    for (var i = own; i < end; i += lanes * step) {
        row.top = max(row.top, logits[i]);
    }
    row.top = row_max(row.top, local);
    for (var i = own; i < end; i += lanes * step) {
        row.sum += exp_or_nan(logits[i] - row.top);
    }
    row.sum = row_sum(row.sum, local);
    return row;
}
