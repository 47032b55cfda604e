// Provider of LANES, row_index, row_lane, row_max and row_sum: each row has one invocation.

const LANES: u32 = 1u;

fn row_index(group: u32, local: u32) -> u32 {
    return group * workgroup_size + local;
}

fn row_lane(local: u32) -> u32 {
    return 0u;
}

fn row_max(value: f32, local: u32) -> f32 {
    return value;
}

fn row_sum(value: f32, local: u32) -> f32 {
    return value;
}
