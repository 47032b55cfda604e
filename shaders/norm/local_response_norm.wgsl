// y = factor / d^beta, d = k + alpha * (sum of x^2 over a window of channels).
//
// Layout: x, factor and y [rows, channels, plane] in loads of one element or four neighbouring ones
// of a plane; load i of this run of rows is load base + i of the part. The window of channel c is c
// - before ..= c + after, as far as there are channels; alpha is divided by the window's size
// already. Reference: src/ops/norm/local_response_norm.rs.
// One invocation makes one load, one workgroup workgroup_size of them. Overrides: workgroup_size.
// Providers: x, factor and store (response_forward or response_share), response_power, Element
// (lib/elements or lib/quads), lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base: u32,
    store_base: u32,
    channels: u32,
    plane: u32,
    before: u32,
    after: u32,
    alpha: f32,
    k: f32,
    power: f32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let channel = i / params.plane % params.channels;
        let d = divisor(params.base + i, channel);
        store(params.store_base + i, factor(params.base + i) * power(d, params.power));
    }
}
