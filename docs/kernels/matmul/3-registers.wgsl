// y = a b, square matrices of `size` rows, a multiple of 64: tiles of 64 x 64, of which an
// invocation makes 4 x 4 elements in registers.

struct Params {
    size: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

// Sixteen terms of 64 rows of a, and of 64 columns of b.
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) own: vec3<u32>,
) {
    let size = params.size;
    let row = group.y * 64u;
    let column = group.x * 16u;
    let at = own.y * 16u + own.x;
    var c = mat4x4<f32>();
    for (var k = 0u; k < size; k += 16u) {
        // Four rows of a at one term, and four columns of b.
        let first = (row + own.x * 4u) * size + k + own.y;
        tile_a[at] = vec4<f32>(
            a[first], a[first + size], a[first + 2u * size], a[first + 3u * size]
        );
        tile_b[at] = b[(k + own.y) * (size / 4u) + column + own.x];
        workgroupBarrier();
        for (var t = 0u; t < 16u; t++) {
            let left = tile_a[t * 16u + own.y];
            let right = tile_b[t * 16u + own.x];
            c = mat4x4<f32>(
                c[0] + left.x * right,
                c[1] + left.y * right,
                c[2] + left.z * right,
                c[3] + left.w * right);
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        y[(row + own.y * 4u + i) * (size / 4u) + column + own.x] = c[i];
    }
}
