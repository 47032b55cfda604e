// Provider of row_index, row_lane, row_max and row_sum: how many invocations a row has.
//
// row_max and row_sum combine the values of all lanes in fixed order. They hold barriers where a
// row has a workgroup: then every invocation calls them.
// Overrides: lanes (1: each row has one invocation; 64: it has a workgroup of as many).

override lanes: u32 = 1u;

var<workgroup> row_values: array<f32, 64>;

fn row_index(group: u32, local: u32) -> u32 {
    if lanes == 1u {
        return group * workgroup_size + local;
    }
    return group;
}

fn row_lane(local: u32) -> u32 {
    if lanes == 1u {
        return 0u;
    }
    return local;
}

fn row_max(value: f32, local: u32) -> f32 {
    if lanes == 1u {
        return value;
    }
    row_values[local] = value;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half / 2u) {
        if local < half {
            row_values[local] = max(row_values[local], row_values[local + half]);
        }
        workgroupBarrier();
    }
    let result = row_values[0];
    workgroupBarrier();
    return result;
}

fn row_sum(value: f32, local: u32) -> f32 {
    if lanes == 1u {
        return value;
    }
    row_values[local] = value;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half / 2u) {
        if local < half {
            row_values[local] += row_values[local + half];
        }
        workgroupBarrier();
    }
    let result = row_values[0];
    workgroupBarrier();
    return result;
}
