// A convolution over two axes in registers: conv1d, conv2d, and the gradient of its input. x [N, G
// * C, H, W], y [N, G * O, .., ..], weights as conv_pack makes them:
//   y[n, o, row, col] = sum over c, i, j of weights[c, i, j, o] x[n, c, row * stride_h + i *
//   dilation_h - pad_h, col * stride_w + j * dilation_w - pad_w]
//
// Drawings of taps, phases, runs and classes, with numbers: docs/kernels/convolution.md. A gradient
// at stride > 1 is one such convolution for each residue class of the stride: rows and cols then
// count within the class, and out_first, out_row and out_col place it in y. The taps of a row come
// in `phases`, dilation_w apart, within which the next tap sees the columns of the one before it,
// one place further; a phase is cut into `runs` of `taps`, filled up with zero weights. Reference:
// src/ops/conv/cpu/forward.rs.
// One invocation makes `strip` columns of one row of 4 * blocks channels of y; it holds the columns
// of x that a run needs in registers.
// One workgroup makes workgroup_size such strips, along the row, then along the batch, so that rows
// outside of x are skipped together.
// Overrides: strip (8, 12 or 16), blocks (1 or 2), taps (1 to 5), workgroup_size.
// Providers: first_* for x, second_quad (second_*) for the weights, window (conv_window_*), y (y_*,
// by as many elements as the rows of y are multiples of), first_sums, finish_row and finish_unit
// (end or end_flags; where end_flags adds a bias, a group has so many channels of y that they fill
// units), lib/grid, lib/divide, lib/float.

struct Params {
    grid: Grid,
    count: u32, // invocations
    strips: u32, // per row
    batch: u32,
    rows: u32,
    cols: u32,
    chunks: u32, // runs of `blocks` vec4s that cover the channels of y of a group
    groups: u32,
    first_block: u32, // of this dispatch: blocks are the chunks of all groups
    weights_base: u32, // vec4s of weights before the first block's
    outs: u32, // channels of y per group
    channels: u32, // channels of x per group
    height: u32,
    width: u32,
    taps_h: u32,
    phases: u32,
    runs: u32,
    stride_h: u32,
    stride_w: u32,
    dilation_h: u32,
    dilation_w: u32,
    pad_h: u32, // may be negative: it wraps
    pad_w: u32,
    out_plane: u32, // elements of y per channel
    out_first: u32,
    out_row: u32,
    out_col: u32,
    last: u32, // vec4 of x
    x_base: u32, // elements of x before its first image
    taps_w: u32, // of a row, without those that fill up its runs
    four: u32, // 4: a bound that no compiler unrolls
    end: u32, // bits of end_flags, where that is the end
    stores: u32, // strip / 4 * blocks; 0 where a dispatch only mends what another one has stored
    first_mended: u32, // of these blocks of four by four
    mends: u32, // blocks from there on whose sums are made again where they are NaN
}

override strip: u32 = 8u;
override blocks: u32 = 2u;
override taps: u32 = 3u;
override workgroup_size: u32 = 64u;

struct Window {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
}

// The weights of a run of taps for four channels.
struct Run {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
}

fn run_at(at: u32) -> Run {
    var run: Run;
    run.a = second_quad(at);
    if taps > 1u {
        run.b = second_quad(at + blocks);
    }
    if taps > 2u {
        run.c = second_quad(at + 2u * blocks);
    }
    if taps > 3u {
        run.d = second_quad(at + 3u * blocks);
    }
    if taps > 4u {
        run.e = second_quad(at + 4u * blocks);
    }
    return run;
}

// Four columns of one channel: sum, plus the taps (k, last) over the eight columns (a, b).
fn add_line(sum: vec4<f32>, a: vec4<f32>, b: vec4<f32>, k: vec4<f32>, last: f32) -> vec4<f32> {
    var s = sum + a * k.x;
    if taps > 1u {
        s += vec4<f32>(a.yzw, b.x) * k.y;
    }
    if taps > 2u {
        s += vec4<f32>(a.zw, b.xy) * k.z;
    }
    if taps > 3u {
        s += vec4<f32>(a.w, b.xyz) * k.w;
    }
    if taps > 4u {
        s += b * last;
    }
    return s;
}

// The same of four channels.
fn add_lines(sum: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>, k: Run) -> mat4x4<f32> {
    return mat4x4<f32>(
        add_line(sum[0], a, b, vec4<f32>(k.a.x, k.b.x, k.c.x, k.d.x), k.e.x),
        add_line(sum[1], a, b, vec4<f32>(k.a.y, k.b.y, k.c.y, k.d.y), k.e.y),
        add_line(sum[2], a, b, vec4<f32>(k.a.z, k.b.z, k.c.z, k.d.z), k.e.z),
        add_line(sum[3], a, b, vec4<f32>(k.a.w, k.b.w, k.c.w, k.d.w), k.e.w));
}

// What the sums of four channels of a group, from `out` on, begin with.
fn channel_sums(group: u32, out: u32) -> vec4<f32> {
    return first_sums(group * params.outs + out, (params.groups * params.outs - 1u) / UNIT);
}

// The same for four columns of each.
fn columns_of(channels: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        vec4<f32>(channels.x), vec4<f32>(channels.y), vec4<f32>(channels.z), vec4<f32>(channels.w)
    );
}

// Whether y, in four columns from `col` on of four channels from `out` on, the first of them at
// element `at`, holds NaN.
fn holds_nan(at: u32, out: u32, col: u32) -> bool {
    var found = false;
    for (var k = 0u; k < params.four * params.four && !found; k++) {
        let i = k / params.four;
        let j = k - i * params.four;
        if out + i < params.outs && col + j < params.cols {
            found = is_nan(y_at(at + i * params.out_plane + j * params.out_col));
        }
    }
    return found;
}

// Four columns from `col` on of four channels from `out` on again, summed over `channels` of x,
// without the products of weights that fill up a run, and of zeros around x: where the sum of all
// is NaN, those may be why.
fn mended(image: u32, group: u32, out: u32, row: u32, col: u32, channels: u32) -> mat4x4<f32> {
    let top = row * params.stride_h - params.pad_h;
    let left = (col + vec4<u32>(0u, 1u, 2u, 3u)) * params.stride_w - params.pad_w;
    let positions = params.runs * taps;
    let slots = params.phases * positions;
    let plane_x = params.height * params.width;
    var plane = params.x_base + image * params.channels * plane_x;
    let chunk = out / (4u * blocks);
    var at = params.weights_base
        + (group * params.chunks + chunk - params.first_block)
            * params.channels
            * params.taps_h
            * slots
            * blocks;
    at += out / 4u - chunk * blocks;
    var sum = columns_of(channel_sums(group, out));
    for (var channel = 0u; channel < channels && !all_nan(sum); channel++) {
        for (var i = 0u; i < params.taps_h; i++) {
            let h = top + i * params.dilation_h;
            for (var slot = 0u; slot < slots; slot++) {
                let phase = slot / positions;
                let position = slot - phase * positions;
                let w = left + phase * params.dilation_w + position * params.stride_w;
                let there = phase + position * params.phases < params.taps_w && h < params.height;
                let inside = vec4<bool>(there) & (w < vec4<u32>(params.width));
                let seen = select(vec4<u32>(plane), plane + h * params.width + w, inside);
                let x = vec4<f32>(
                    first_element(seen.x),
                    first_element(seen.y),
                    first_element(seen.z),
                    first_element(seen.w),
                );
                let k = second_quad(at);
                sum += mat4x4<f32>(
                    select(vec4<f32>(), x * k.x, inside),
                    select(vec4<f32>(), x * k.y, inside),
                    select(vec4<f32>(), x * k.z, inside),
                    select(vec4<f32>(), x * k.w, inside));
                at += blocks;
            }
        }
        plane += plane_x;
    }
    return sum;
}

fn all_nan(sum: mat4x4<f32>) -> bool {
    return all(is_nan4(sum[0]) & is_nan4(sum[1]) & is_nan4(sum[2]) & is_nan4(sum[3]));
}

// Four columns from `col` on, the first of them at element `at` of y; those past the end of the row
// are left out.
fn store_row(value: vec4<f32>, at: u32, col: u32) {
    var rest = value;
    for (var j = 0u; j < params.four; j += UNIT) {
        if col + j < params.cols {
            let unit = (at + j * params.out_col) / UNIT;
            y[unit] = finish_unit(first_unit(rest), unit);
        }
        rest = after_unit(rest);
    }
}

// Four columns from `col` on of row `row` of four channels from `out` on, the first of them at
// element `at` of y.
fn store(value: mat4x4<f32>, out: u32, group: u32, at: u32, col: u32) {
    var rest = value;
    // Not a condition in the loop: llvmpipe runs through what it skips.
    let channels = min(out + params.four, max(params.outs, out)) - out;
    for (var i = 0u; i < channels; i++) {
        store_row(
            finish_row(rest[0], group * params.outs + out + i), at + i * params.out_plane, col
        );
        rest = mat4x4<f32>(rest[1], rest[2], rest[3], rest[0]);
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.count {
        return;
    }
    var rest = quotient(index, params.strips);
    let col = (index - rest * params.strips) * strip;
    var next = quotient(rest, params.batch);
    let n = rest - next * params.batch;
    rest = quotient(next, params.rows);
    let row = next - rest * params.rows;
    let block = params.first_block + rest;
    let group = quotient(block, params.chunks);
    let quad_out = (block - group * params.chunks) * blocks;

    let plane_x = params.height * params.width;
    let row_runs = params.phases * params.runs;
    let row_weights = row_runs * taps * blocks;
    let top = row * params.stride_h - params.pad_h;
    let left = col * params.stride_w - params.pad_w;
    // The rows of taps that meet x: all others would add zeros.
    let above = bitcast<u32>(max(-bitcast<i32>(top), 0));
    let until = bitcast<u32>(max(bitcast<i32>(params.height - top), 0));
    let end_i = min(quotient(until + params.dilation_h - 1u, params.dilation_h), params.taps_h);
    let first_i = min(quotient(above + params.dilation_h - 1u, params.dilation_h), end_i);
    let skipped = (params.taps_h - (end_i - first_i)) * row_weights;
    var at = params.weights_base + (rest * params.channels * params.taps_h + first_i) * row_weights;
    let image = n * params.groups + group;
    var plane = params.x_base + image * params.channels * plane_x;

    // cij: four columns, number i of the strip, of four channels, number j.
    var c00 = columns_of(channel_sums(group, 4u * quad_out));
    var c10 = c00;
    var c20 = c00;
    var c30 = c00;
    var c01 = c00;
    if blocks > 1u {
        c01 = columns_of(channel_sums(group, 4u * quad_out + 4u));
    }
    var c11 = c01;
    var c21 = c01;
    var c31 = c01;
    // One loop over (channel, i, phase, run): nested loops would carry every sum through each of
    // their heads.
    var i = first_i;
    var phase = 0u;
    var run = 0u;
    let products = params.channels * (end_i - first_i) * row_runs;
    for (var left_over = select(0u, products, params.stores > 0u); left_over > 0u; left_over--) {
        let h = top + i * params.dilation_h;
        let x = window(
            plane + h * params.width,
            left + phase * params.dilation_w + run * taps * params.stride_w,
            true,
        );
        let k = run_at(at);
        c00 = add_lines(c00, x.a, x.b, k);
        if strip > 4u {
            c10 = add_lines(c10, x.b, x.c, k);
        }
        if strip > 8u {
            c20 = add_lines(c20, x.c, x.d, k);
        }
        if strip > 12u {
            c30 = add_lines(c30, x.d, x.e, k);
        }
        if blocks > 1u {
            let l = run_at(at + 1u);
            c01 = add_lines(c01, x.a, x.b, l);
            if strip > 4u {
                c11 = add_lines(c11, x.b, x.c, l);
            }
            if strip > 8u {
                c21 = add_lines(c21, x.c, x.d, l);
            }
            if strip > 12u {
                c31 = add_lines(c31, x.d, x.e, l);
            }
        }
        at += taps * blocks;
        run++;
        let end_of_phase = run == params.runs;
        run = select(run, 0u, end_of_phase);
        phase = select(phase, phase + 1u, end_of_phase);
        let end_of_row = phase == params.phases;
        phase = select(phase, 0u, end_of_row);
        i = select(i, i + 1u, end_of_row);
        let end_of_plane = i == end_i;
        i = select(i, first_i, end_of_plane);
        at = select(at, at + skipped, end_of_plane);
        plane = select(plane, plane + plane_x, end_of_plane);
    }

    // The blocks move up through c00, so that there is one store to compile.
    let first_y = params.out_first + image * params.outs * params.out_plane + row * params.out_row;
    var out = quad_out * 4u;
    var part = 0u;
    var sums = vec4<f32>();
    for (var stored = 0u; stored < params.stores; stored++) {
        sums += c00[0] + c00[1] + c00[2] + c00[3];
        store(
            c00,
            out,
            group,
            first_y + out * params.out_plane + (col + part) * params.out_col,
            col + part,
        );
        part += 4u;
        out = select(out, out + 4u, part == strip);
        part = select(part, 0u, part == strip);
        c00 = c10;
        c10 = c01;
        if strip > 8u {
            c10 = c20;
            c20 = c01;
        }
        if strip > 12u {
            c20 = c30;
            c30 = c01;
        }
        c01 = c11;
        c11 = c21;
        c21 = c31;
    }
    // Only now, and all in one loop: llvmpipe runs through what it skips, with all lanes switched
    // off.
    let found = params.stores == 0u || any(is_nan4(sums));
    out = (quad_out + params.first_mended / (strip / 4u)) * 4u;
    part = params.first_mended % (strip / 4u) * 4u;
    for (var left_over = select(0u, params.mends, found); left_over > 0u; left_over--) {
        let block_y = first_y + out * params.out_plane + (col + part) * params.out_col;
        let channels = select(0u, params.channels, holds_nan(block_y, out, col + part));
        var rest = mended(image, group, out, row, col + part, channels);
        for (var i = 0u; i < params.four; i++) {
            var line = rest[0];
            for (var j = 0u; j < params.four; j++) {
                let at = block_y + i * params.out_plane + j * params.out_col;
                if out + i < params.outs && col + part + j < params.cols && is_nan(y_at(at)) {
                    put(finish_row(vec4<f32>(line.x), group * params.outs + out + i).x, at);
                }
                line = line.yzwx;
            }
            rest = mat4x4<f32>(rest[1], rest[2], rest[3], rest[0]);
        }
        part += 4u;
        out = select(out, out + 4u, part == strip);
        part = select(part, 0u, part == strip);
    }
}
