// y[k] = scale * sum over r of x[k, r], for sums over any axes.
//
// Layout: x as alternating runs of axes that are kept or summed, at most three of each, by extent and stride; run 2 is the
// innermost of its kind. Strides and loads are in elements or in quads, as the provider says. The sum of an output is cut into
// outer_chunks * inner_chunks chunks: chunk (m, l) takes every outer_chunks-th index of summed run 0 from m on and every
// inner_chunks-th of summed run 2 from l on, so that neighbouring invocations read neighbouring addresses. With one chunk y is the
// result, else [outputs, chunks] or, with chunks_first, [chunks, outputs], which another dispatch sums; some chunks may be empty.
// Reference: src/ops/reduce.rs. One invocation makes one chunk of one output, one workgroup workgroup_size of them.
// Overrides: chunks_first (the innermost run is kept), workgroup_size.
// Providers: Element, load and store (sum_elements, sum_row_quads or sum_column_quads), lib/grid.

override chunks_first: u32 = 0u;
override workgroup_size: u32 = 64u;

struct Params {
    grid: Grid,
    count: u32,
    outputs: u32,
    outer_chunks: u32,
    inner_chunks: u32,
    kept0: u32,
    kept_stride0: u32,
    kept1: u32,
    kept_stride1: u32,
    kept2: u32,
    kept_stride2: u32,
    summed0: u32,
    summed_stride0: u32,
    summed1: u32,
    summed_stride1: u32,
    summed2: u32,
    summed_stride2: u32,
    scale: f32,
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * workgroup_size + local;
    if (i < params.count) {
        let chunks = params.outer_chunks * params.inner_chunks;
        var output = i / chunks;
        var chunk = i % chunks;
        if (chunks_first == 1u) {
            output = i % params.outputs;
            chunk = i / params.outputs;
        }
        let m = chunk / params.inner_chunks;
        let l = chunk % params.inner_chunks;
        let k2 = output % params.kept2;
        let outer = output / params.kept2;
        let k1 = outer % params.kept1;
        let k0 = outer / params.kept1;

        let extent0 = params.summed0;
        let extent1 = params.summed1;
        let extent2 = params.summed2;
        let step0 = params.outer_chunks;
        let step2 = params.inner_chunks;
        let jump0 = step0 * params.summed_stride0;
        let jump1 = params.summed_stride1;
        let jump2 = step2 * params.summed_stride2;
        var at0 = k0 * params.kept_stride0 + k1 * params.kept_stride1 + k2 * params.kept_stride2
            + m * params.summed_stride0 + l * params.summed_stride2;
        var sum = Element();
        for (var r0 = m; r0 < extent0; r0 += step0) {
            var at1 = at0;
            for (var r1 = 0u; r1 < extent1; r1++) {
                var at = at1;
                for (var r2 = l; r2 < extent2; r2 += step2) {
                    sum += load(at);
                    at += jump2;
                }
                at1 += jump1;
            }
            at0 += jump0;
        }
        store(i, params.scale * sum);
    }
}
