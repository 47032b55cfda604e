// Provider of Element, origin_of and put_moments: a load is four elements of one set or, with
// columns = 1, one of each of four sets.

override columns: u32 = 0u;

alias Element = vec4<f32>;

fn origin_of(x: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(x.x), x, columns == 1u);
}

fn put_moments(i: u32, number: f32, origin: vec4<f32>, mean: vec4<f32>, squares: vec4<f32>) {
    if columns == 1u {
        for (var k = 0u; k < 4u; k++) {
            put(4u * i + k, vec3<f32>(number, origin[k] + mean[k], squares[k]));
        }
    } else {
        // The four components about their common mean (Chan, Golub and LeVeque 1983).
        let middle = 0.25 * ((mean.x + mean.y) + (mean.z + mean.w));
        let off = mean - vec4<f32>(middle);
        let all = squares + number * off * off;
        put(i, vec3<f32>(4.0 * number, origin.x + middle, (all.x + all.y) + (all.z + all.w)));
    }
}
