// Provider of third, first_sums, finish_row and finish_unit: the epilogue of a product, chosen by
// overrides. All are off unless set.
// Overrides: bias (1 adds element `channel` of third), relu (1, after the bias; NaN is kept), mask
// (zero where an activation after relu is not positive; NaN lets pass; 1 where third holds it, 2
// where y does, whose place the result takes). Where neither bias nor mask reads third, something
// else is bound there.

override bias: u32 = 0u;
override relu: u32 = 0u;
override mask: u32 = 0u;

@group(0) @binding(2) var<storage, read> third: array<Unit>;

// What the sums of four channels begin with: the bias comes after them.
fn first_sums(at: u32, last: u32) -> vec4<f32> {
    return vec4<f32>();
}

// What depends on the channel, for four values of one.
fn finish_row(value: vec4<f32>, channel: u32) -> vec4<f32> {
    var row = value;
    if bias != 0u {
        row += third_at(channel);
    }
    if relu != 0u {
        row = relu4(row);
    }
    return row;
}

// What depends on the place, for unit `unit` of y.
fn finish_unit(value: Unit, unit: u32) -> Unit {
    if mask == 0u {
        return value;
    }
    var held: Unit;
    if mask == 1u {
        held = third[unit];
    } else {
        held = y[unit];
    }
    return select(value, Unit(), (held <= Unit()) & !is_nan_unit(held));
}
