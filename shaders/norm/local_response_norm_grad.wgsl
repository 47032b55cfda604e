// dx = dy / d^beta + factor * x * (sum of the shares of the channels whose window holds this one):
// the gradient of local_response_norm.
//
// The share of an element is dy * x / d^(beta + 1); factor is -2 * alpha * beta, alpha divided by
// the window's size.
// Layout: dy, x and dx [rows, channels, plane] in loads of one element or four; load i of this run
// of rows is load base + i of the part, and load i of the shares. Reference:
// src/ops/norm/local_response_norm.rs.
// One invocation makes one load, one workgroup workgroup_size of them. Overrides: workgroup_size.
// Providers: response_power, Element (lib/elements or lib/quads), lib/grid, lib/float.

override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    base: u32,
    channels: u32,
    plane: u32,
    before: u32,
    after: u32,
    alpha: f32,
    k: f32,
    power: f32,
    factor: f32,
}

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> shares: array<Element>;
@group(0) @binding(3) var<storage, read_write> dx: array<Element>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let at = params.base + i;
        let channel = i / params.plane % params.channels;
        let own = dy[at] * power(divisor(at, channel), params.power);
        let first = channel - min(channel, params.after);
        let last = min(channel + params.before, params.channels - 1u);
        var sum = Element();
        var j = i - (channel - first) * params.plane;
        for (var c = first; c <= last; c++) {
            sum += shares[j];
            j += params.plane;
        }
        dx[at] = own + params.factor * x[at] * sum;
    }
}
