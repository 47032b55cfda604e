// Provider of Params for the convolutions without tiles. "From" is what is read and "to" what is
// written, each with its channels per group: x and y forward, dy and x for the gradient of the
// input, x and dy for that of the weight.

struct Params {
    grid: Grid,
    count: u32, // invocations
    from_base: u32, // elements before the first image's first, and from image to image
    from_image: u32,
    to_base: u32,
    to_image: u32,
    to_channel: u32, // the first one's number, for a bias
    filter_base: u32, // elements of the weight before the first
    groups: u32,
    channels: u32, // of "from"
    outs: u32, // of "to"
    chunks: u32, // runs of `block` outs
    // elements of the weight from group to group, and from channel to channel of "from" and of "to"
    group_step: u32,
    from_step: u32,
    to_step: u32,
    from_depth: u32,
    from_height: u32,
    from_width: u32,
    to_depth: u32,
    to_height: u32,
    to_width: u32,
    kernel_d: u32,
    kernel_h: u32,
    kernel_w: u32,
    stride_d: u32,
    stride_h: u32,
    stride_w: u32,
    dilation_d: u32,
    dilation_h: u32,
    dilation_w: u32,
    before_d: u32,
    before_h: u32,
    before_w: u32,
    after_d: u32,
    after_h: u32,
    after_w: u32,
    mode: u32, // of the padding, see lib/pad
    summed: u32, // channels of "from" that are summed, from that at from_base on
    first_d: u32, // the taps that are summed, along each axis
    first_h: u32,
    first_w: u32,
    end_d: u32,
    end_h: u32,
    end_w: u32,
    // for the gradient of the input: the places of an element that are summed, by their numbers
    // (pad_place)
    place_d: u32,
    place_h: u32,
    place_w: u32,
    end_place_d: u32,
    end_place_h: u32,
    end_place_w: u32,
    rows: u32, // of y, over all images, for the gradient of the weight
    share: u32, // rows that a part sums
    reach: u32, // columns of each that it sums, and the parts that sum a row
    pieces: u32,
    first_part: u32,
    part: u32, // elements from part to part
}
