// Provider of Place and step_out: the walk from an output's number to where the operands' elements
// lie, axis by axis from the last one on.

struct Place {
    at: vec3<u32>,
    // What is left of the number.
    rest: u32,
}

fn step_out(place: Place, extent: u32, strides: vec3<u32>) -> Place {
    let outer = quotient(place.rest, extent);
    return Place(place.at + (place.rest - outer * extent) * strides, outer);
}
