// y[i] = 1 where a[i] and b[i] compare as `function` says, 0 elsewhere, with broadcasting (NumPy's
// rule).
//
// Layout: the output as collapsed axes, outermost first; a and b by a stride per axis, 0 where they
// stretch. Floats are compared as integers in the same order, so that subnormal ones are not
// flushed; NaN is found by its bits.
// Reference: src/ops/elementwise/compare.rs.
// One invocation makes one word or a quad of them, one workgroup workgroup_size of these.
// Overrides: function (0 a = b, 1 a differs from b, 2 a < b, 3 a <= b), floats (1: words are f32,
// 0: u32), workgroup_size.
// Providers: Params, WIDTH, place and strides (broadcast_elements or broadcast_quads), Word,
// widened and narrowed (words_elements or words_quads), broadcast_axis, lib/divide, lib/grid.

override function: u32 = 0u;
override floats: u32 = 1u;
override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> b: array<Word>;
@group(0) @binding(1) var<storage, read> a: array<Word>;
@group(0) @binding(2) var<storage, read_write> y: array<Word>;
@group(0) @binding(3) var<uniform> params: Params;

const SIGN: vec4<u32> = vec4<u32>(0x80000000u);

// The bits of floats as integers of the same order, -0 being 0.
fn ordered(bits: vec4<u32>) -> vec4<u32> {
    let positive = select(bits, vec4<u32>(), bits == SIGN);
    return select(positive | SIGN, ~positive, positive > SIGN);
}

fn nan_bits(bits: vec4<u32>) -> vec4<bool> {
    return (bits & ~SIGN) > vec4<u32>(0x7f800000u);
}

fn compared(a: vec4<u32>, b: vec4<u32>) -> vec4<bool> {
    switch function {
        case 0u: {
            return a == b;
        }
        case 1u: {
            return a != b;
        }
        case 2u: {
            return a < b;
        }
        default: {
            return a <= b;
        }
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = place(i);
        let stride = strides();
        let left = widened(a[at.x / WIDTH], at.x, stride.x);
        let right = widened(b[at.y / WIDTH], at.y, stride.y);
        var holds = compared(left, right);
        if floats == 1u {
            let nan = nan_bits(left) | nan_bits(right);
            holds = select(
                compared(ordered(left), ordered(right)), vec4<bool>(function == 1u), nan
            );
        }
        y[params.y_base / WIDTH + i] = narrowed(select(vec4<u32>(), vec4<u32>(1u), holds));
    }
}
