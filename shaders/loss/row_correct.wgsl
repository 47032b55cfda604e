// right[row] = 1 where the label's logit is the largest of its row, the first of equal ones, else
// 0; 0 for rows from valid on.
//
// Layout: logits [rows, columns] and labels [rows], each from its base on, right [rows], valid one
// word. A row with a NaN, or with a label that is not below
// columns, is wrong. Columns from `begin` to `until` - 1 are looked at; where begin is not 0, right
// goes on with what it holds.
// Reference: src/ops/loss/accuracy.rs. A row is judged by one invocation or by one workgroup, as
// lanes says.
// Overrides: workgroup_size. Providers: lib/rows, lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    rows: u32,
    first: u32,
    columns: u32,
    begin: u32,
    until: u32,
    logits_base: u32,
    labels_base: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<uniform> valid: u32;
@group(0) @binding(3) var<storage, read_write> right: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = row_index(workgroup_index(group), local);
    let lane = row_lane(local);
    let inside = row < params.rows && params.first + row < valid;
    let start = params.logits_base + select(0u, row * params.columns, inside);
    var end = start;
    var at = start;
    var wrong = 1.0;
    if inside {
        let label = labels[params.labels_base + row];
        if label < params.columns {
            at = start + label;
            end = start + params.until;
            wrong = 0.0;
            if params.begin > 0u && right[row] == 0u {
                wrong = 1.0;
            }
        }
    }
    if end > start {
        let own = logits[at];
        for (var i = start + params.begin + lane; i < end; i += lanes) {
            let other = logits[i];
            if is_nan(other) || other > own || (other == own && i < at) {
                wrong = 1.0;
            }
        }
    }
    wrong = row_max(wrong, local);
    if row < params.rows && lane == 0u {
        right[row] = select(0u, 1u, wrong == 0.0);
    }
}
