// y = a b, square matrices of `size` rows, a multiple of 16: tiles of 16 x 16 in workgroup memory,
// one element per invocation.

struct Params {
    size: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tile_a: array<f32, 256>;
var<workgroup> tile_b: array<f32, 256>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) own: vec3<u32>,
) {
    let size = params.size;
    let at = own.y * 16u + own.x;
    var sum = 0.0;
    for (var k = 0u; k < size; k += 16u) {
        tile_a[at] = a[id.y * size + k + own.x];
        tile_b[at] = b[(k + own.y) * size + id.x];
        workgroupBarrier();
        for (var t = 0u; t < 16u; t++) {
            sum += tile_a[own.y * 16u + t] * tile_b[t * 16u + own.x];
        }
        workgroupBarrier();
    }
    y[id.y * size + id.x] = sum;
}
