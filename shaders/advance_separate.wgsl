// Provider of before, clock and params: the clock moves to another buffer.

@group(0) @binding(0) var<storage, read> old: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> clock: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

fn before() -> vec4<u32> {
    return old[0];
}
