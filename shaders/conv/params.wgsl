// Provider of Params, PADDED, tap_place, Seen, load_b and inside_b for convolutions as matrix
// products: the extents of the product, then those of the convolution. `part` is the distance
// between the results of two splits. A dispatch may make some splits alone, from first_split on.
// Where `mends` is 0, mending NaN takes too many turns of cooperative matrices. Channels and outs
// count per group; sizes of the padding at the end follow from the others. a, b and y begin at
// element a_base, b_base and y_base of their bindings. What a column sees at a term, seen, comes
// from the map.

struct Params {
    grid: Grid,
    m: u32,
    n: u32,
    k: u32,
    tiles_m: u32,
    tiles_n: u32,
    splits: u32,
    depth: u32,
    part: u32,
    first_split: u32,
    mends: u32,
    groups: u32,
    channels: u32,
    outs: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    kernel_h: u32,
    kernel_w: u32,
    stride_h: u32,
    stride_w: u32,
    dilation_h: u32,
    dilation_w: u32,
    pad_h: u32,
    pad_w: u32,
    a_base: u32,
    b_base: u32,
    y_base: u32,
    // Of the gradient of the input one class: the pixels first_*, first_* + jump_* and so on, and
    // the taps that see something from there, first_tap_*, first_tap_* + step_tap_* and so on. Else
    // all.
    class_height: u32,
    class_width: u32,
    first_row: u32,
    first_column: u32,
    jump_h: u32,
    jump_w: u32,
    taps_h: u32,
    taps_w: u32,
    first_tap_h: u32,
    first_tap_w: u32,
    step_tap_h: u32,
    step_tap_w: u32,
    row_terms: u32, // of a row of dy, where terms are its pixels: out_width filled up
    last_source: u32, // element of what gather reads
    last_quad: u32, // vec4 of the other factor
    quads: u32, // vec4s of packed weights for a term
    plane: u32, // elements of a channel of what gather reads
    // What lies between a term and the eighth after it: whole channels' elements and taps,
    step_plane: u32,
    step_taps: u32,
    step_column: u32, // or columns, rows and images of dy.
    step_row: u32,
    step_image: u32,
}

const PADDED: bool = true;

// Row and column in the kernel of a tap of the class.
fn tap_place(tap: u32) -> vec2<u32> {
    // A class of pixels may see no tap.
    let r = tap / max(params.taps_w, 1u);
    let s = tap - r * params.taps_w;
    return vec2<u32>(
        params.first_tap_h + r * params.step_tap_h, params.first_tap_w + s * params.step_tap_w
    );
}

// Four elements of B, as far as they are inside.
struct Seen {
    index: vec4<u32>,
    inside: vec4<bool>,
}

fn load_b(columns: Columns, k: u32, end: u32) -> vec4<f32> {
    let b = seen(columns, k);
    return gather(b.index, b.inside & vec4<bool>(k < end));
}

fn inside_b(columns: Columns, k: u32) -> vec4<bool> {
    return seen(columns, k).inside;
}
