// Philox 4x32-10 (Salmon et al. 2011), bit for bit as in src/rng.rs.

// Low and high word of a * b, from 16-bit halves.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    // At most 2 * 0xffff + 0xffff * 0xffff: no overflow in either sum.
    let middle = a1 * b0 + (low >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return vec2<u32>((other << 16u) | (low & 0xffffu), a1 * b1 + (middle >> 16u) + (other >> 16u));
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        let p = multiply_wide(c.x, 0xd2511f53u);
        let q = multiply_wide(c.z, 0xcd9e8d57u);
        c = vec4<u32>(q.y ^ c.y ^ k.x, q.x, p.y ^ c.w ^ k.y, p.x);
        k = k + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// Uniform in [0, 1): 23 bits of each word.
fn unit4(words: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((words >> vec4<u32>(9u)) | vec4<u32>(0x3f800000u)) - vec4<f32>(1.0);
}
