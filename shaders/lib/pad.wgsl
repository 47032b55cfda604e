// Padded axes, as PaddingMode of src/shape.rs: which element stands at a place, and at which places
// an element stands.
//
// Places count from element 0 and wrap below it: the padding of an axis of `extent` elements lies
// at -before .. -1 and extent .. extent + after - 1. Modes: 0 zeros, 1 reflect, 2 replicate, 3
// circular, with paddings that PaddingMode::check accepts.

// The element at each place; `extent` or more where there is none, but a zero.
fn pad_source4(mode: u32, place: vec4<u32>, extent: u32) -> vec4<u32> {
    let below = place >= vec4<u32>(0x80000000u);
    let outside = place >= vec4<u32>(extent);
    switch mode {
        case 1u: {
            return select(
                place, select(2u * (extent - 1u) - place, vec4<u32>() - place, below), outside
            );
        }
        case 2u: {
            return select(place, select(vec4<u32>(extent - 1u), vec4<u32>(), below), outside);
        }
        case 3u: {
            return select(place, select(place - extent, place + extent, below), outside);
        }
        default: {
            return place;
        }
    }
}

fn pad_source(mode: u32, place: u32, extent: u32) -> u32 {
    return pad_source4(mode, vec4<u32>(place), extent).x;
}

// Whether an element stands at a second and a third place, before element 0 and after the last,
// once each (modes 1 and 3).
fn pad_before(mode: u32, element: vec4<u32>, extent: u32, before: u32) -> vec4<bool> {
    let reflected = (element != vec4<u32>()) & (element <= vec4<u32>(before));
    let wrapped = element + before >= vec4<u32>(extent);
    return select(vec4<bool>(mode == 3u) & wrapped, reflected, mode == 1u);
}

fn pad_after(mode: u32, element: vec4<u32>, extent: u32, after: u32) -> vec4<bool> {
    let reflected =
        (element + 1u < vec4<u32>(extent)) & (element + after + 1u >= vec4<u32>(extent));
    let wrapped = element < vec4<u32>(after);
    return select(vec4<bool>(mode == 3u) & wrapped, reflected, mode == 1u);
}

// At how many places each element stands.
fn pad_count4(mode: u32, element: vec4<u32>, extent: u32, before: u32, after: u32) -> vec4<u32> {
    if mode == 2u {
        let first = select(vec4<u32>(), vec4<u32>(before), element == vec4<u32>());
        return first
            + select(vec4<u32>(), vec4<u32>(after), element + 1u == vec4<u32>(extent))
            + 1u;
    }
    return 1u + select(vec4<u32>(), vec4<u32>(1u), pad_before(mode, element, extent, before))
        + select(vec4<u32>(), vec4<u32>(1u), pad_after(mode, element, extent, after));
}

fn pad_count(mode: u32, element: u32, extent: u32, before: u32, after: u32) -> u32 {
    return pad_count4(mode, vec4<u32>(element), extent, before, after).x;
}

// Place number j of each element, for j < pad_count4: its own, then those before element 0, then
// those after the last.
fn pad_place4(mode: u32, element: vec4<u32>, j: u32, extent: u32, before: u32) -> vec4<u32> {
    if j == 0u {
        return element;
    }
    if mode == 2u {
        let first = (element == vec4<u32>()) & vec4<bool>(j <= before);
        let skipped = select(vec4<u32>(), vec4<u32>(before), element == vec4<u32>());
        return select(element + j - skipped, element - j, first);
    }
    let first = pad_before(mode, element, extent, before) & vec4<bool>(j == 1u);
    let reflected = select(2u * (extent - 1u) - element, vec4<u32>() - element, first);
    return select(select(element + extent, element - extent, first), reflected, mode == 1u);
}

fn pad_place(mode: u32, element: u32, j: u32, extent: u32, before: u32) -> u32 {
    return pad_place4(mode, vec4<u32>(element), j, extent, before).x;
}
