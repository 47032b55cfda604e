// Provider of Element, Statistic, statistic_of, affine_of and relu: a load is four elements, which
// have one statistic or, with wide_statistics = 1, four neighbouring ones, and one weight or, with
// wide_affine = 1, four neighbouring ones.

override wide_statistics: u32 = 0u;
override wide_affine: u32 = 0u;

alias Element = vec4<f32>;

struct Statistic {
    mean: vec4<f32>,
    scale: vec4<f32>,
    plain: vec4<f32>,
    scaled: vec4<f32>,
}

fn statistic_of(number: u32) -> Statistic {
    if wide_statistics == 1u {
        let a = table[4u * number];
        let b = table[4u * number + 1u];
        let c = table[4u * number + 2u];
        let d = table[4u * number + 3u];
        return Statistic(
            vec4<f32>(a.x, b.x, c.x, d.x),
            vec4<f32>(a.y, b.y, c.y, d.y),
            vec4<f32>(a.z, b.z, c.z, d.z),
            vec4<f32>(a.w, b.w, c.w, d.w),
        );
    }
    let own = table[number];
    return Statistic(vec4<f32>(own.x), vec4<f32>(own.y), vec4<f32>(own.z), vec4<f32>(own.w));
}

fn affine_of(row: u32, number: u32) -> vec4<f32> {
    if wide_affine == 1u {
        return table[row + number];
    }
    return vec4<f32>(table[row + number / 4u][number % 4u]);
}

// With NaN kept.
fn relu(x: vec4<f32>) -> vec4<f32> {
    return relu4(x);
}
