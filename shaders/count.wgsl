// counter = before + [sum(right), min(valid, rows)].
//
// Layout: right [rows] of 0 and 1, valid one word, counter [2]. Reference: src/ops/accuracy.rs.
// One workgroup of 64 invocations makes all. Overrides: workgroup_size (64).
// Providers: before, counter and the other bindings (count_separate or count_in_place), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
}

var<workgroup> sums: array<u32, 64>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var sum = 0u;
    for (var i = local; i < params.rows; i += 64u) {
        sum += right[i];
    }
    sums[local] = sum;
    workgroupBarrier();
    if (workgroup_index(group) == 0u && local == 0u) {
        for (var i = 1u; i < 64u; i++) {
            sum += sums[i];
        }
        counter[0] = before(0u) + sum;
        counter[1] = before(1u) + min(valid, params.rows);
    }
}
