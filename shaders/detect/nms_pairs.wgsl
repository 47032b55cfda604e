// pairs[r][w] = bit b where boxes r and 32 w + b, in order, overlap, for those after r.
//
// Two boxes overlap where their intersection is larger than the threshold times their union; with
// NaN in one they do not. Layout: boxes [n, 4], order [n], pairs [n, words]. Reference:
// src/ops/detect/nms.rs. One invocation makes one word, one workgroup workgroup_size of them.
// Overrides: workgroup_size. Providers: lib/grid, lib/float, lib/divide.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    boxes: u32,
    words: u32,
    threshold: f32,
}

@group(0) @binding(0) var<storage, read> boxes: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read_write> pairs: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

fn area(box: vec4<f32>) -> f32 {
    return (box.z - box.x) * (box.w - box.y);
}

fn overlap(a: vec4<f32>, b: vec4<f32>) -> bool {
    if any(is_nan4(a)) || any(is_nan4(b)) {
        return false;
    }
    let side = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2<f32>());
    let shared_area = side.x * side.y;
    let all = area(a) + area(b) - shared_area;
    if is_nan(shared_area) || is_nan(all) {
        return false;
    }
    return all > 0.0 && shared_area > params.threshold * all;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let r = quotient(i, params.words);
        let first = 32u * (i - r * params.words);
        var bits = 0u;
        if first + 31u > r {
            let own = boxes[order[r]];
            for (var b = 0u; b < 32u; b++) {
                let other = first + b;
                if other > r && other < params.boxes && overlap(own, boxes[order[other]]) {
                    bits |= 1u << b;
                }
            }
        }
        pairs[i] = bits;
    }
}
