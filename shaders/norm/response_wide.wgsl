// Long windows of local_response_norm: what is made before and after their sums, see the providers.
//
// Layout: x, dy, y and dx [rows, channels, plane] counted from base; squares, sums and shares from
// the first of these rows on.
// alpha is divided by the window's size already. Reference: src/ops/norm/local_response_norm.rs.
// One invocation makes one element, one workgroup workgroup_size of them. Overrides:
// workgroup_size.
// Providers: make (response_wide_square, response_wide_forward, response_wide_share or
// response_wide_grad), lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base: u32,
    alpha: f32,
    k: f32,
    power: f32,
    // Of the sum of shares.
    factor: f32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        make(i);
    }
}

// d^power of d = k + alpha * sum. log2 and exp2 need not keep NaN.
fn divisor_power(sum: f32) -> f32 {
    let d = params.k + params.alpha * sum;
    return select(exp2(params.power * log2(d)), d, is_nan(d));
}
