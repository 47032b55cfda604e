// Provider of matrices and subgroups for gemm_cooperative: by the device's own units. EDGE,
// MatrixA, MatrixB and MatrixC come from cooperative_16 or cooperative_8.

alias Half = f16;

struct Lanes {
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

fn subgroup(lanes: Lanes) -> u32 {
    return lanes.subgroup;
}

fn subgroups(lanes: Lanes) -> u32 {
    return lanes.subgroups;
}

fn halves(value: vec4<f32>) -> vec4<f16> {
    return vec4<f16>(value);
}

// Term by term, the rows of a term side by side.
fn read_a(at: u32, stride: u32) -> MatrixA {
    return coopLoad<MatrixA>(&tile_a[at], stride);
}

// Term by term, the columns of a term side by side.
fn read_b(at: u32, stride: u32) -> MatrixB {
    return coopLoadT<MatrixB>(&tile_b[at], stride);
}

fn read_c(at: u32) -> MatrixC {
    return coopLoadT<MatrixC>(&results[at], EDGE);
}

fn write_c(c: MatrixC, at: u32) {
    coopStoreT(c, &results[at], EDGE);
}

fn multiply_add(a: MatrixA, b: MatrixB, c: MatrixC) -> MatrixC {
    return coopMultiplyAdd(a, b, c);
}
