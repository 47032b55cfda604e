// Provider of params, add_totals and store_totals for conv_grad_weight_registers: the sums of each
// part of dy by channel, totals [parts, G * O] with params.part_totals elements from part to part.
// sum_parts adds them up to the gradient of a bias.

@group(0) @binding(3) var<storage, read_write> totals: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// Column i of g: four columns of channel i of four.
fn add_totals(total: vec4<f32>, g: mat4x4<f32>) -> vec4<f32> {
    return total + vec4<f32>(1.0) * g;
}

// The sums of four channels from `out` on of a group whose first one is at element `to`.
fn store_totals(total: vec4<f32>, to: u32, out: u32) {
    var rest = total;
    for (var o = out; o < min(out + 4u, params.outs); o++) {
        if params.adds != 0u {
            rest.x += totals[to + o];
        }
        totals[to + o] = rest.x;
        rest = rest.yzwx;
    }
}
