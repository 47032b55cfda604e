// store(j, sqrt(sum of x^2)) over the quads j, j + stride, ... of x, for each j below stride.
//
// Layout: x of `count` elements in vec4s, what lies beyond them is not looked at. Squares that a
// float cannot hold are summed scaled: up by 2^80, as they are, and down by 2^80; one of the three
// is right (Blue 1978). NaN gives NaN. Reference: src/ops/optim/clip.rs.
// One invocation makes one norm. Overrides: workgroup_size. Providers: store, Params and the other
// bindings (gradient_norm_part or gradient_norm_clip), lib/grid.

override workgroup_size: u32 = 64u;

const UP: f32 = 1208925819614629174706176.0;
const DOWN: f32 = 8.271806125530276748714087e-25;
const LARGE: f32 = 1267650600228229401496703205376.0;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

fn total(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.stride {
        var small = vec4<f32>();
        var middle = vec4<f32>();
        var large = vec4<f32>();
        for (var q = j; q < (params.count + 3u) / 4u; q += params.stride) {
            let inside = vec4<u32>(4u * q) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.count);
            let v = select(vec4<f32>(), x[q], inside);
            let up = v * UP;
            let down = v * DOWN;
            small += up * up;
            middle += v * v;
            large += down * down;
        }
        let sum = total(middle);
        if sum > LARGE {
            store(j, sqrt(total(large)) * UP);
        } else if sum < DOWN {
            store(j, sqrt(total(small)) * DOWN);
        } else {
            store(j, sqrt(sum));
        }
    }
}
