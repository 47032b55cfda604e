// y[k] = scale * sum over r of term(x[k, r]), or the largest of x[k, r] (with scale -1 the
// smallest), or the product of x[k, r], for any axes.
//
// Layout: x as alternating runs of axes that are kept or reduced, at most three of each, by extent
// and stride; run 2 is the innermost of its kind. Strides, bases and loads are in elements or in
// quads, as the provider says. The reduction of an output is cut into outer_chunks * inner_chunks
// chunks: chunk (m, l) takes every outer_chunks-th index of reduced run 0 from m on and every
// inner_chunks-th of reduced run 2 from l on, so that neighbouring invocations read neighbouring
// addresses. With one chunk y is the result, else [outputs, chunks] or, with chunks_first, [chunks,
// outputs], which another dispatch reduces; some chunks may be empty. start is what an empty
// reduction gives; accumulate takes in what y holds already; root takes the square root of the
// result. Terms that are made with another value of y's layout find it from other_base on, those
// made with one of x's layout where x is. Reference: src/ops/reduce/mod.rs. One invocation makes
// one chunk of one output, one workgroup workgroup_size of them.
// Overrides: function (the largest, the product, or the sum of which terms), chunks_first (the
// innermost run is kept), workgroup_size. Providers: Element, Bits, Result and fold (elements,
// row_quads or column_quads), bindings and term (terms, terms_by_output or terms_by_element),
// lib/grid, lib/divide.

override function: u32 = 0u;
override chunks_first: u32 = 0u;
override workgroup_size: u32 = 64u;

// Functions. All but LARGEST and MULTIPLIED are sums.
const SUM: u32 = 0u; // of the elements
const LARGEST: u32 = 1u;
const SQUARES: u32 = 2u; // of the elements
const DIFFERENCES: u32 = 3u; // from another value of each output
const DEVIATIONS: u32 = 4u; // squares of these differences
const TIES: u32 = 5u; // 1 where an element equals that value; NaN equals NaN
const EXPONENTIALS: u32 = 6u; // exp of these differences; NaN stays
const PRODUCTS: u32 = 7u; // with another value of x's layout
const MULTIPLIED: u32 = 8u;

struct Params {
    grid: Grid,
    count: u32,
    outputs: u32,
    outer_chunks: u32,
    inner_chunks: u32,
    x_base: u32,
    y_base: u32,
    other_base: u32,
    kept0: u32,
    kept_stride0: u32,
    kept1: u32,
    kept_stride1: u32,
    kept2: u32,
    kept_stride2: u32,
    reduced0: u32,
    reduced_stride0: u32,
    reduced1: u32,
    reduced_stride1: u32,
    reduced2: u32,
    reduced_stride2: u32,
    accumulate: u32,
    root: u32,
    start: f32,
    scale: f32,
}

// The bits of the magnitudes; those of NaN are above 0x7f800000.
fn magnitude(a: Element) -> Bits {
    return bitcast<Bits>(a) & Bits(0x7fffffffu);
}

// The larger of each pair; NaN is larger than all.
fn larger(a: Element, b: Element) -> Element {
    let a_is_nan = magnitude(a) > Bits(0x7f800000u);
    let b_is_nan = magnitude(b) > Bits(0x7f800000u);
    return select(a, b, b_is_nan | ((b > a) & !a_is_nan));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if i < params.count {
        let chunks = params.outer_chunks * params.inner_chunks;
        var output = quotient(i, chunks);
        var chunk = i - output * chunks;
        if chunks_first == 1u {
            chunk = quotient(i, params.outputs);
            output = i - chunk * params.outputs;
        }
        let m = quotient(chunk, params.inner_chunks);
        let l = chunk - m * params.inner_chunks;
        let outer = quotient(output, params.kept2);
        let k2 = output - outer * params.kept2;
        let k0 = quotient(outer, params.kept1);
        let k1 = outer - k0 * params.kept1;

        let extent0 = params.reduced0;
        let extent1 = params.reduced1;
        let extent2 = params.reduced2;
        let step0 = params.outer_chunks;
        let step2 = params.inner_chunks;
        let jump0 = step0 * params.reduced_stride0;
        let jump1 = params.reduced_stride1;
        let jump2 = step2 * params.reduced_stride2;
        var at0 = params.x_base
            + k0 * params.kept_stride0
            + k1 * params.kept_stride1
            + k2 * params.kept_stride2
            + m * params.reduced_stride0 + l * params.reduced_stride2;
        let at_y = params.y_base + i;
        var total = Element(params.start);
        if function == LARGEST && params.accumulate == 1u {
            total = Element(params.scale * y[at_y]);
        }
        for (var r0 = m; r0 < extent0; r0 += step0) {
            var at1 = at0;
            for (var r1 = 0u; r1 < extent1; r1++) {
                var at = at1;
                for (var r2 = l; r2 < extent2; r2 += step2) {
                    if function == LARGEST {
                        total = larger(total, params.scale * x[at]);
                    } else if function == MULTIPLIED {
                        total *= x[at];
                    } else {
                        total += term(x[at], at, params.other_base + output);
                    }
                    at += jump2;
                }
                at1 += jump1;
            }
            at0 += jump0;
        }
        var result = params.scale * fold(total);
        if function != LARGEST && params.accumulate == 1u {
            if function == MULTIPLIED {
                result *= y[at_y];
            } else {
                result += y[at_y];
            }
        }
        if params.root == 1u {
            result = sqrt(result);
        }
        y[at_y] = result;
    }
}
