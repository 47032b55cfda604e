// Provider of window for conv_registers and conv_grad_weight_registers at any stride: the columns
// that a strip of at most eight needs, one by one (first_element). Columns outside the line are 0.

fn column(line: u32, col: u32, there: bool) -> f32 {
    if there && col < params.width {
        return first_element(line + col);
    }
    return 0.0;
}

fn four_columns(line: u32, col: u32, there: bool) -> vec4<f32> {
    let step = params.stride_w;
    return vec4<f32>(
        column(line, col, there),
        column(line, col + step, there),
        column(line, col + 2u * step, there),
        column(line, col + 3u * step, there));
}

// strip + taps - 1 columns, stride_w apart, of the line that begins at element `line`, from `col`
// on, which may be negative; zeros if not `there`.
fn window(line: u32, col: u32, there: bool) -> Window {
    let step = 4u * params.stride_w;
    var a = four_columns(line, col, there);
    var b = vec4<f32>();
    var c = vec4<f32>();
    if strip + taps > 5u {
        b = four_columns(line, col + step, there);
    }
    if strip + taps > 9u {
        c = four_columns(line, col + 2u * step, there);
    }
    return Window(a, b, c, vec4<f32>(), vec4<f32>());
}
