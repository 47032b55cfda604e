// Provider of LANES, row_index, row_lane, row_max and row_sum: each row has a workgroup of 64
// invocations.
//
// row_max and row_sum combine the values of all lanes in fixed order. They hold barriers: every
// invocation calls them.

const LANES: u32 = 64u;

var<workgroup> row_values: array<f32, 64>;

fn row_index(group: u32, local: u32) -> u32 {
    return group;
}

fn row_lane(local: u32) -> u32 {
    return local;
}

fn row_max(value: f32, local: u32) -> f32 {
    row_values[local] = value;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half / 2u) {
        if (local < half) {
            row_values[local] = max(row_values[local], row_values[local + half]);
        }
        workgroupBarrier();
    }
    let result = row_values[0];
    workgroupBarrier();
    return result;
}

fn row_sum(value: f32, local: u32) -> f32 {
    row_values[local] = value;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half / 2u) {
        if (local < half) {
            row_values[local] += row_values[local + half];
        }
        workgroupBarrier();
    }
    let result = row_values[0];
    workgroupBarrier();
    return result;
}
