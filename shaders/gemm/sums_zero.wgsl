// Provider of first_sums for ends that add the bias in finish_row.

// What the sums of four channels begin with, the first of them element `at` of the bias, `last` the
// last unit that holds some.
fn first_sums(at: u32, last: u32) -> vec4<f32> {
    return vec4<f32>();
}
