// y[label, answer] += 1 for each element that counts: the counts of a confusion matrix.
//
// Layout: answers and labels [rows, row], each from its base on, valid one word, y [classes,
// classes], of which rows first to first + held - 1 are bound. Rows from valid on do not count, nor
// do elements whose label or answer is not below classes. A sum of integers does not depend on the
// order of the invocations.
// Reference: src/ops/loss/confusion.rs. One invocation looks at one element, one workgroup at
// workgroup_size.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    row: u32,
    first_row: u32,
    answers_base: u32,
    labels_base: u32,
    classes: u32,
    first: u32,
    held: u32,
}

@group(0) @binding(0) var<storage, read> answers: array<u32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<uniform> valid: u32;
@group(0) @binding(3) var<storage, read_write> y: array<atomic<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count && params.first_row + i / params.row < valid {
        let answer = answers[params.answers_base + i];
        let label = labels[params.labels_base + i];
        let place = label - params.first;
        if label < params.classes && answer < params.classes && place < params.held {
            atomicAdd(&y[place * params.classes + answer], 1u);
        }
    }
}
