// Provider of Params: planes of both sides of an unpooling.

struct Params {
    grid: Grid,
    count: u32,
    x_base: u32,
    y_base: u32,
    index_base: u32,
    // Elements of a plane of x and of y.
    x_plane: u32,
    y_plane: u32,
}
