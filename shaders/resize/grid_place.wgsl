// Provider of Place, place_in, Taps, taps_at, in_columns and in_rows: where a coordinate of a grid
// lies in an image.
//
// The place of coordinate c along an axis is (c + 1) * scale - shift, in elements; on an axis of
// scale 0 it is the only element. Beyond the image there are zeros (padding 0), what the border
// holds (1), or the mirror image (2), which lies within span from low on. A place reads the element
// below and the one above, weighted by nearness, or with nearest = 1 the nearest one. NaN stays; a
// reflected infinity becomes NaN.
// Overrides: nearest, padding.

override nearest: u32 = 0u;
override padding: u32 = 0u;

struct Axis {
    extent: u32,
    scale: f32,
    shift: f32,
    low: f32,
    span: f32,
}

// A place in elements, and how fast it moves with the coordinate.
struct Place {
    at: f32,
    slope: f32,
}

struct Taps {
    first: i32,
    low: f32,
    high: f32,
}

fn place_along(axis: Axis, coordinate: f32) -> Place {
    let none = Place(bitcast<f32>(bitcast<u32>(coordinate) | 0x7fc00000u), 0.0);
    if is_nan(coordinate) {
        return none;
    }
    if axis.scale == 0.0 {
        return Place(0.0, 0.0);
    }
    var at = (coordinate + 1.0) * axis.scale - axis.shift;
    var slope = axis.scale;
    // Large coordinates have infinite places.
    let magnitude = bitcast<u32>(at) & 0x7fffffffu;
    if magnitude > 0x7f800000u || (padding == 2u && magnitude == 0x7f800000u) {
        return none;
    }
    if padding == 0u {
        return Place(at, slope);
    }
    if padding == 2u {
        let from_low = at - axis.low;
        let size = abs(from_low);
        let flips = floor(size / axis.span);
        let rest = size - flips * axis.span;
        let odd = flips - 2.0 * floor(0.5 * flips) == 1.0;
        at = axis.low + select(rest, axis.span - rest, odd);
        slope = select(slope, -slope, (from_low < 0.0) != odd);
    }
    let last = f32(axis.extent) - 1.0;
    if at <= 0.0 {
        return Place(0.0, 0.0);
    }
    if at >= last {
        return Place(last, 0.0);
    }
    return Place(at, slope);
}

// The places of a pair of coordinates: x, then y.
fn place_in(x: f32, y: f32) -> array<Place, 2> {
    let across = Axis(params.width, params.scale_x, params.shift_x, params.low_x, params.span_x);
    let down = Axis(params.height, params.scale_y, params.shift_y, params.low_y, params.span_y);
    return array<Place, 2>(place_along(across, x), place_along(down, y));
}

// What a place reads that is a number. From beyond both neighbours of the ends nothing is read.
fn taps_at(at: f32, extent: u32) -> Taps {
    let near = min(max(at, -2.0), f32(extent) + 1.0);
    if nearest == 1u {
        return Taps(i32(round(near)), 1.0, 0.0);
    }
    let first = floor(near);
    let above = near - first;
    return Taps(i32(first), 1.0 - above, above);
}

fn in_columns(at: i32) -> bool {
    return at >= 0 && at < i32(params.width);
}

fn in_rows(at: i32) -> bool {
    return at >= 0 && at < i32(params.height);
}
