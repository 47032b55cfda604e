// Provider of right, valid, before, counter and params: the counter stays in its buffer.

@group(0) @binding(0) var<storage, read> right: array<u32>;
@group(0) @binding(1) var<uniform> valid: u32;
@group(0) @binding(2) var<storage, read_write> counter: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

fn before(i: u32) -> u32 {
    return counter[i];
}
