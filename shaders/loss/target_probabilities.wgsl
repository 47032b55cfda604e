// Provider of LABELS, target_label and probability: the probability of each class of each row, laid
// out as the logits.

const LABELS: bool = false;

@group(0) @binding(1) var<storage, read> probabilities: array<f32>;

fn target_label(row: u32) -> u32 {
    return 0u;
}

fn probability(i: u32) -> f32 {
    return probabilities[i - params.logits_base + params.target_base];
}
