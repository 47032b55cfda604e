// Provider of row_softmax: what the softmax of a row of `logits` is made of.
//
// The row is the loads first, first + step, ... below end; each lane takes every lanes-th of them.
// Of none, the largest is LOWEST_F32 and the sum 0. Every invocation calls it (see lib/rows). A NaN
// reaches the sum whatever the largest is. Element comes from lib/elements or lib/quads.

struct RowSoftmax {
    top: f32, // the largest
    sum: f32, // of exp(logit - top)
}

fn row_softmax(first: u32, end: u32, step: u32, local: u32) -> RowSoftmax {
    let own = first + row_lane(local) * step;
    let lane_step = lanes * step;
    var tops = Element(LOWEST_F32);
    for (var i = own; i < end; i += lane_step) {
        tops = max(tops, logits[i]);
    }
    let top = row_max(largest_of(tops), local);
    var sums = Element();
    for (var i = own; i < end; i += lane_step) {
        let below = logits[i] - top;
        sums += select(exp(below), below, is_nan_each(below));
    }
    return RowSoftmax(top, row_sum(sum_of(sums), local));
}
