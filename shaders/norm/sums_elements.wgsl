// Provider of put_sums: sums of single elements.

fn put_sums(i: u32, plain: f32, scaled: f32) {
    put(i, vec2<f32>(plain, scaled));
}
