// Provider of before, clock and params: the clock stays in its buffer.

@group(0) @binding(0) var<storage, read_write> clock: array<vec4<u32>>;
@group(0) @binding(1) var<uniform> params: Params;

fn before() -> vec4<u32> {
    return clock[0];
}
