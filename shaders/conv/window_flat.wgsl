// Provider of window for conv_registers and conv_grad_weight_registers at stride 1: the columns
// that a strip needs, read as the vec4s in which they lie (first_quad), wherever they begin.
// Columns outside the line are 0.

fn quad(index: i32) -> vec4<f32> {
    return first_quad(min(bitcast<u32>(index), params.last));
}

fn inside(value: vec4<f32>, col: u32, width: u32) -> vec4<f32> {
    return select(
        vec4<f32>(), value, vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(width)
    );
}

// strip + taps - 1 columns of the line that begins at element `line`, from `col` on, which may be
// negative; zeros if not `there`.
fn window(line: u32, col: u32, there: bool) -> Window {
    let first = line + col;
    let index = bitcast<i32>(first) >> 2u;
    var a = quad(index);
    var b = vec4<f32>();
    var c = vec4<f32>();
    var d = vec4<f32>();
    var e = vec4<f32>();
    var f = vec4<f32>();
    if strip + taps > 2u {
        b = quad(index + 1);
    }
    if strip + taps > 6u {
        c = quad(index + 2);
    }
    if strip + taps > 10u {
        d = quad(index + 3);
    }
    if strip + taps > 14u {
        e = quad(index + 4);
    }
    if strip + taps > 18u {
        f = quad(index + 5);
    }
    let one = (first & 1u) != 0u;
    a = select(a, vec4<f32>(a.yzw, b.x), one);
    b = select(b, vec4<f32>(b.yzw, c.x), one);
    c = select(c, vec4<f32>(c.yzw, d.x), one);
    d = select(d, vec4<f32>(d.yzw, e.x), one);
    e = select(e, vec4<f32>(e.yzw, f.x), one);
    f = select(f, vec4<f32>(f.yzw, 0.0), one);
    let two = (first & 2u) != 0u;
    let width = select(0u, params.width, there);
    return Window(
        inside(select(a, vec4<f32>(a.zw, b.xy), two), col, width),
        inside(select(b, vec4<f32>(b.zw, c.xy), two), col + 4u, width),
        inside(select(c, vec4<f32>(c.zw, d.xy), two), col + 8u, width),
        inside(select(d, vec4<f32>(d.zw, e.xy), two), col + 12u, width),
        inside(select(e, vec4<f32>(e.zw, f.xy), two), col + 16u, width));
}
