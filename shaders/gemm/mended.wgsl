// Provider of mended_block for gemm/shared where B has padding.

// Four columns of four rows of y, without the terms whose B is padding.
fn mended_block(group: u32, row: u32, column: u32, start: u32, end: u32) -> mat4x4<f32> {
    let own_rows = rows(group, row);
    let own_columns = columns(group, column);
    var c = mat4x4<f32>();
    var left = true;
    for (var k = start; k < end && left; k++) {
        let a = load_a(own_rows, k, end);
        let b = load_b(own_columns, k, end);
        let inside = inside_b(own_columns, k);
        c += mat4x4<f32>(
            select(vec4<f32>(), a * b.x, inside.x),
            select(vec4<f32>(), a * b.y, inside.y),
            select(vec4<f32>(), a * b.z, inside.z),
            select(vec4<f32>(), a * b.w, inside.w));
        left = !all(is_nan4(c[0]) & is_nan4(c[1]) & is_nan4(c[2]) & is_nan4(c[3]));
    }
    return c;
}
