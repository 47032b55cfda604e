// Provider of Element, Statistic, statistic_of, affine_of and relu: a load is one element. See
// norm_table for the table.

alias Element = f32;

struct Statistic {
    mean: f32,
    scale: f32,
    plain: f32,
    scaled: f32,
}

fn statistic_of(number: u32) -> Statistic {
    let own = table[number];
    return Statistic(own.x, own.y, own.z, own.w);
}

fn affine_of(row: u32, number: u32) -> f32 {
    return table[row + number / 4u][number % 4u];
}

// With NaN kept.
fn relu(x: f32) -> f32 {
    return select(x, 0.0, x <= 0.0 && !is_nan(x));
}
