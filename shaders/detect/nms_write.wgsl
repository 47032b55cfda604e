// indices[k] = the k-th box in order that is not gone, up to most of them; n beyond. kept = how
// many there are.
//
// Layout: order [n], gone [words] with a bit for each box in order, indices [most], kept [1].
// Reference: src/ops/detect/nms.rs. One invocation looks at one box and one index, one workgroup at
// workgroup_size of them.
// Overrides: workgroup_size. Providers: lib/grid.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    boxes: u32,
    words: u32,
    most: u32,
}

@group(0) @binding(0) var<storage, read> order: array<u32>;
@group(0) @binding(1) var<storage, read> gone: array<u32>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> kept: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

// The bits of the boxes of a word before box `end`.
fn bits_before(word: u32, end: u32) -> u32 {
    let first = 32u * word;
    if end >= first + 32u {
        return 0xffffffffu;
    }
    return (1u << (max(end, first) - first)) - 1u;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        var before = 0u;
        var all = 0u;
        for (var word = 0u; word < params.words; word++) {
            let stays = ~gone[word];
            before += countOneBits(stays & bits_before(word, min(i, params.boxes)));
            all += countOneBits(stays & bits_before(word, params.boxes));
        }
        if i < params.boxes && before < params.most {
            if ((gone[i / 32u] >> (i % 32u)) & 1u) == 0u {
                indices[before] = order[i];
            }
        }
        if i < params.most && i >= all {
            indices[i] = params.boxes;
        }
        if i == 0u {
            kept[0] = min(all, params.most);
        }
    }
}
