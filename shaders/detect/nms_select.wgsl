// gone[w] = bit b where box 32 w + b, in order, overlaps one before it that stays.
//
// Layout: pairs [n, words], gone [words]. Words from `begin` to `until` - 1 are settled, each 32
// boxes one after the other, from a copy of what they overlap among themselves; then those of them
// that stay mark what they overlap in later words.
// Reference: src/ops/detect/nms.rs. One workgroup does it all; its invocations take every
// workgroup_size-th word.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    boxes: u32,
    words: u32,
    begin: u32,
    until: u32,
}

@group(0) @binding(0) var<storage, read> pairs: array<u32>;
@group(0) @binding(1) var<storage, read_write> gone: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> stays: u32;
var<workgroup> own: array<u32, 32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // One workgroup, but dispatches are counted alike everywhere.
    let inside = workgroup_index(group) == 0u;
    if params.begin == 0u {
        for (var w = local; w < select(0u, params.words, inside); w += workgroup_size) {
            gone[w] = 0u;
        }
    }
    storageBarrier();
    workgroupBarrier();
    for (var word = params.begin; word < params.until; word++) {
        let row = 32u * word + local;
        if local < 32u && row < params.boxes && inside {
            own[local] = pairs[row * params.words + word];
        }
        workgroupBarrier();
        if local == 0u && inside {
            var bits = gone[word];
            var left = 0u;
            for (var b = 0u; b < 32u; b++) {
                if 32u * word + b < params.boxes && ((bits >> b) & 1u) == 0u {
                    left |= 1u << b;
                    bits |= own[b];
                }
            }
            gone[word] = bits;
            stays = left;
        }
        workgroupBarrier();
        let left = stays;
        for (
            var w = word + 1u + local; w < select(0u, params.words, inside); w += workgroup_size
        ) {
            var bits = gone[w];
            for (var b = 0u; b < 32u; b++) {
                if ((left >> b) & 1u) == 1u {
                    bits |= pairs[(32u * word + b) * params.words + w];
                }
            }
            gone[w] = bits;
        }
        storageBarrier();
        workgroupBarrier();
    }
}
