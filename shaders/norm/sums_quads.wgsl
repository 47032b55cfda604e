// Provider of put_sums: the four components belong to one set or, with columns = 1, to four
// neighbouring ones.

override columns: u32 = 0u;

fn put_sums(i: u32, plain: vec4<f32>, scaled: vec4<f32>) {
    if columns == 1u {
        for (var k = 0u; k < 4u; k++) {
            put(4u * i + k, vec2<f32>(plain[k], scaled[k]));
        }
    } else {
        put(
            i,
            vec2<f32>(
                (plain.x + plain.y) + (plain.z + plain.w),
                (scaled.x + scaled.y) + (scaled.z + scaled.w),
            ),
        );
    }
}
