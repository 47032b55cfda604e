// Provider of Params for convolutions as matrix products: the extents of the product, then those of the convolution.
// `part` is the distance between the results of two splits. Channels and outs count per group; sizes of the padding at the end follow from the others.

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
}
