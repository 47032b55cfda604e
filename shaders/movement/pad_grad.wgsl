// dx[i] = sum of dy[j] over the places j at which element i of x stands, for padding that repeats
// elements.
//
// Layout: as pad_params says. Reference: src/ops/movement/pad.rs.
// One invocation makes one element, one workgroup workgroup_size of them.
// Overrides: cut (1: dx[j] is the sum over a piece of these places), workgroup_size.
// Providers: pad_params, lib/pad, lib/pieces, lib/grid.

override cut: u32 = 0u;
override workgroup_size: u32 = 64u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let j = workgroup_index(group) * workgroup_size + local;
    if j < params.count {
        let piece = piece_of(j);
        let i = piece.output;
        let i3 = i % params.x3;
        var rest = i / params.x3;
        let i2 = rest % params.x2;
        rest = rest / params.x2;
        let i1 = rest % params.x1;
        let i0 = rest / params.x1;
        let mode = params.mode;
        let count0 = pad_count(
            mode, i0, params.x0, params.before0, params.y0 - params.x0 - params.before0
        );
        let count1 = pad_count(
            mode, i1, params.x1, params.before1, params.y1 - params.x1 - params.before1
        );
        let count2 = pad_count(
            mode, i2, params.x2, params.before2, params.y2 - params.x2 - params.before2
        );
        let count3 = pad_count(
            mode, i3, params.x3, params.before3, params.y3 - params.x3 - params.before3
        );
        let counts = vec4<u32>(count0, count1, count2, count3);
        var begin = vec4<u32>();
        var end = counts;
        if cut == 1u {
            let taps = vec4<u32>(params.taps0, params.taps1, params.taps2, params.taps3);
            begin = piece.along * taps;
            end = min(counts, begin + taps);
        }
        var sum = 0.0;
        for (var j0 = begin.x; j0 < end.x; j0++) {
            let at0 = params.before0 + pad_place(mode, i0, j0, params.x0, params.before0);
            for (var j1 = begin.y; j1 < end.y; j1++) {
                let at1 = at0 * params.y1
                    + params.before1
                    + pad_place(mode, i1, j1, params.x1, params.before1);
                for (var j2 = begin.z; j2 < end.z; j2++) {
                    let at2 = at1 * params.y2
                        + params.before2
                        + pad_place(mode, i2, j2, params.x2, params.before2);
                    for (var j3 = begin.w; j3 < end.w; j3++) {
                        let at3 =
                            params.before3 + pad_place(mode, i3, j3, params.x3, params.before3);
                        sum += dy[params.y_base + at2 * params.y3 + at3];
                    }
                }
            }
        }
        dx[params.x_base + j] = sum;
    }
}
