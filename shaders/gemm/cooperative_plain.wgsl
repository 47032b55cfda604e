// Provider of matrices and subgroups for gemm_cooperative where a device has no units for them: 2 x
// 2, each invocation a subgroup.
//
// It shows how the kernels behave and is slow: elements are rounded to f16, held as f32, and
// multiplied as matrices of WGSL.

const EDGE: u32 = 2u;

alias Half = f32;
alias MatrixA = mat2x2<f32>;
alias MatrixB = mat2x2<f32>;
alias MatrixC = mat2x2<f32>;

struct Lanes {
    @builtin(local_invocation_id) id: vec3<u32>,
}

fn subgroup(lanes: Lanes) -> u32 {
    return lanes.id.x;
}

fn subgroups(lanes: Lanes) -> u32 {
    return workgroup_size;
}

// Numbers as f16 holds them, ties to even: eleven bits, multiples of 2^-24 below 2^-14, an infinity
// from 65,520 on.
fn halves(value: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(value);
    let magnitude = bits & vec4<u32>(0x7fffffffu);
    let even = (bits >> vec4<u32>(13u)) & vec4<u32>(1u);
    let normal = (bits + vec4<u32>(0xfffu) + even) & vec4<u32>(0xffffe000u);
    let small = bitcast<vec4<u32>>(round(value * 16777216.0) / 16777216.0);
    let infinite = (bits & vec4<u32>(0x80000000u)) | vec4<u32>(0x7f800000u);
    let finite = select(normal, small, magnitude < vec4<u32>(0x38800000u));
    let number = select(finite, infinite, magnitude >= vec4<u32>(0x477ff000u));
    return bitcast<vec4<f32>>(select(number, bits, magnitude >= vec4<u32>(0x7f800000u)));
}

// Term by term, the rows of a term side by side.
fn read_a(at: u32, stride: u32) -> MatrixA {
    let next = at + stride;
    return MatrixA(tile_a[at], tile_a[at + 1u], tile_a[next], tile_a[next + 1u]);
}

// Term by term, the columns of a term side by side.
fn read_b(at: u32, stride: u32) -> MatrixB {
    let next = at + stride;
    return MatrixB(tile_b[at], tile_b[next], tile_b[at + 1u], tile_b[next + 1u]);
}

fn read_c(at: u32) -> MatrixC {
    return MatrixC(results[at], results[at + 2u], results[at + 1u], results[at + 3u]);
}

fn write_c(c: MatrixC, at: u32) {
    results[at] = c[0].x;
    results[at + 1u] = c[1].x;
    results[at + 2u] = c[0].y;
    results[at + 3u] = c[1].y;
}

fn multiply_add(a: MatrixA, b: MatrixB, c: MatrixC) -> MatrixC {
    return a * b + c;
}
