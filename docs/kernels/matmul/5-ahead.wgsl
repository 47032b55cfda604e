// y = a b, square matrices of `size` rows, a multiple of 128: as before, and the vec4s of the next
// block of terms are loaded into registers before this one is multiplied.

struct Params {
    size: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// Eight terms of 128 rows of a, and of 128 columns of b.
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;

fn add(c: mat4x4<f32>, left: vec4<f32>, right: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        c[0] + left.x * right,
        c[1] + left.y * right,
        c[2] + left.z * right,
        c[3] + left.w * right);
}

fn load_a(first: u32) -> vec4<f32> {
    let size = params.size;
    return vec4<f32>(a[first], a[first + size], a[first + 2u * size], a[first + 3u * size]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let size = params.size;
    let row = group.y * 128u;
    let column = group.x * 32u;
    let own = vec2<u32>(local % 16u, local / 16u);
    var a_at = (row + local % 32u * 4u) * size + local / 32u;
    var b_at = local / 32u * (size / 4u) + column + local % 32u;
    var left = load_a(a_at);
    var right = b[b_at];
    tile_a[local] = left;
    tile_b[local] = right;
    var c00 = mat4x4<f32>();
    var c01 = mat4x4<f32>();
    var c10 = mat4x4<f32>();
    var c11 = mat4x4<f32>();
    for (var k = 0u; k < size; k += 8u) {
        // The last block loads itself again.
        if k + 8u < size {
            a_at += 8u;
            b_at += 2u * size;
        }
        workgroupBarrier();
        for (var t = 0u; t < 8u; t += 4u) {
            if t == 0u {
                left = load_a(a_at);
                right = b[b_at];
            }
            for (var i = 0u; i < 4u; i++) {
                let a0 = tile_a[(t + i) * 32u + own.y];
                let a1 = tile_a[(t + i) * 32u + own.y + 16u];
                let b0 = tile_b[(t + i) * 32u + own.x];
                let b1 = tile_b[(t + i) * 32u + own.x + 16u];
                c00 = add(c00, a0, b0);
                c01 = add(c01, a0, b1);
                c10 = add(c10, a1, b0);
                c11 = add(c11, a1, b1);
            }
        }
        workgroupBarrier();
        tile_a[local] = left;
        tile_b[local] = right;
    }
    for (var i = 0u; i < 4u; i++) {
        let upper = (row + own.y * 4u + i) * (size / 4u) + column + own.x;
        let lower = upper + 64u * (size / 4u);
        y[upper] = c00[i];
        y[upper + 16u] = c01[i];
        y[lower] = c10[i];
        y[lower + 16u] = c11[i];
    }
}
