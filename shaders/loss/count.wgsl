// y = counter + [sum(right), min(valid, rows)].
//
// Layout: right [terms] of 0 and 1, or sums of such, of rows in all, valid one word, counter and y
// [2]. Reference: src/ops/loss/accuracy.rs.
// One workgroup of 64 invocations makes all. Overrides: workgroup_size (64).
// Providers: load and store (lib/separate or lib/in_place), lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    terms: u32,
}

alias Element = u32;

const OLD: u32 = 2u;

@group(0) @binding(0) var<storage, read> right: array<u32>;
@group(0) @binding(1) var<uniform> valid: u32;

var<workgroup> sums: array<u32, 64>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var sum = 0u;
    for (var i = local; i < params.terms; i += 64u) {
        sum += right[i];
    }
    sums[local] = sum;
    workgroupBarrier();
    if workgroup_index(group) == 0u && local == 0u {
        for (var i = 1u; i < 64u; i++) {
            sum += sums[i];
        }
        store(0u, load(0u) + sum);
        store(1u, load(1u) + min(valid, params.rows));
    }
}
