// The gradient of a convolution's weight in registers, in parts. x [N, G * C, H, W], dy [N, G * O,
// OH, OW]:
//   dweight[o, c, i, j] = sum over n, row, col of dy[n, o, row, col] x[n, c, row * stride_h + i *
//   dilation_h - pad_h, col * stride_w + j * dilation_w - pad_w]
//
// Drawings of strips, lines, bands and parts, with numbers: docs/kernels/convolution.md. Part k
// sums `share` strips of four columns of dy, all of an image before the next image's, into
// parts[k][group][chunk][channel][band][phase][run][block][line][tap], vec4s of four channels of
// dy; conv_grad_weight_sum adds the parts up and puts them in order. Phases and runs of taps: see
// conv_registers. Reference: src/ops/conv/cpu/grad_weight.rs. Dispatches one after the other
// may sum into the same parts: all but the first add to what the parts hold.
// One invocation takes 4 * blocks channels of dy, `depth` channels of x, `lines` rows and `taps`
// columns of the kernel. It walks down the strips of its part; the rows of x slide through
// registers, since the next row of dy sees what the next row of the kernel saw.
// One workgroup takes workgroup_size of these, parts first.
// Overrides: lines (1, or as taps where stride_h = dilation_h), taps (1 to 5), blocks (1 or 2),
// depth (1, or 2 where lines is at most 3), workgroup_size, and those of dy_quads. Providers:
// first_* for x, window (conv_window_*), four_dy (dy_quads or dy_window), params, add_totals and
// store_totals (dy_totals or dy_totals_none), lib/grid, lib/divide.

struct Params {
    grid: Grid,
    count: u32, // invocations
    parts: u32,
    adds: u32, // 1 where the parts hold sums already
    strips: u32, // of an image: four columns of dy each
    first_strip: u32, // of the first part
    end_strip: u32, // after the last part's
    share: u32, // strips per part
    chunks: u32, // runs of 4 * blocks channels of dy in a group
    groups: u32,
    outs: u32, // channels of dy per group
    channels: u32, // channels of x per group
    depths: u32, // runs of `depth` of them
    height: u32,
    width: u32,
    rows: u32, // of dy
    cols: u32,
    bands: u32, // runs of `lines` rows of the kernel
    phases: u32,
    runs: u32,
    lines: u32, // the overrides: bounds that no compiler unrolls
    depth: u32,
    stride_h: u32,
    stride_w: u32,
    dilation_h: u32,
    dilation_w: u32,
    pad_h: u32,
    pad_w: u32,
    last: u32, // vec4 of x
    last_dy: u32, // vec4 or element of dy, as the provider reads it
    x_base: u32, // elements before the first image
    dy_base: u32,
    part_totals: u32, // elements from part to part of the sums of dy
}

@group(0) @binding(2) var<storage, read_write> parts: array<vec4<f32>>;

override lines: u32 = 3u;
override taps: u32 = 3u;
override blocks: u32 = 2u;
override depth: u32 = 1u;
override workgroup_size: u32 = 16u;

const strip: u32 = 4u;

struct Window {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
}

// Eight columns of a row of x.
struct Row {
    a: vec4<f32>,
    b: vec4<f32>,
}

// The sums of one row of taps.
struct Line {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
}

// Adds the products of four columns g, each of four channels, with the columns of x that each tap
// sees.
fn add_line(sum: Line, x: Row, g: mat4x4<f32>) -> Line {
    var s = sum;
    s.a += x.a * g;
    if taps > 1u {
        s.b += vec4<f32>(x.a.yzw, x.b.x) * g;
    }
    if taps > 2u {
        s.c += vec4<f32>(x.a.zw, x.b.xy) * g;
    }
    if taps > 3u {
        s.d += vec4<f32>(x.a.w, x.b.xyz) * g;
    }
    if taps > 4u {
        s.e += x.b * g;
    }
    return s;
}

fn row_of_x(plane: u32, h: u32, w: u32) -> Row {
    let x = window(plane + h * params.width, w, h < params.height);
    return Row(x.a, x.b);
}

fn store_sum(value: vec4<f32>, at: u32) {
    var sum = value;
    if params.adds != 0u {
        sum += parts[at];
    }
    parts[at] = sum;
}

fn store(line: Line, at: u32) {
    store_sum(line.a, at);
    if taps > 1u {
        store_sum(line.b, at + 1u);
    }
    if taps > 2u {
        store_sum(line.c, at + 2u);
    }
    if taps > 3u {
        store_sum(line.d, at + 3u);
    }
    if taps > 4u {
        store_sum(line.e, at + 4u);
    }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup_index(group_id) * workgroup_size + local;
    if index >= params.count {
        return;
    }
    var rest = quotient(index, params.parts);
    let part = index - rest * params.parts;
    var next = quotient(rest, params.runs);
    let run = rest - next * params.runs;
    rest = quotient(next, params.phases);
    let phase = next - rest * params.phases;
    next = quotient(rest, params.bands);
    let band = rest - next * params.bands;
    rest = quotient(next, params.depths);
    let channel = (next - rest * params.depths) * depth;
    let tile = (((rest * params.channels + channel) * params.bands + band) * params.phases + phase)
        * params.runs
        + run;
    let group = quotient(rest, params.chunks);
    let out = (rest - group * params.chunks) * 4u * blocks;
    // The second channel of x, which the last run may lack: it then reads the first again, and is
    // not stored.
    let next_plane = select(0u, params.height * params.width, channel + 1u < params.channels);

    let plane_y = params.rows * params.cols;
    // Channels past the last read the last one again; their sums are not stored.
    let final_out = params.outs - 1u;
    let o0 = min(out, final_out) * plane_y;
    let o1 = min(out + 1u, final_out) * plane_y;
    let o2 = min(out + 2u, final_out) * plane_y;
    let o3 = min(out + 3u, final_out) * plane_y;
    let o4 = min(out + 4u, final_out) * plane_y;
    let o5 = min(out + 5u, final_out) * plane_y;
    let o6 = min(out + 6u, final_out) * plane_y;
    let o7 = min(out + 7u, final_out) * plane_y;
    let top = band * lines * params.dilation_h - params.pad_h;
    let left = (phase + run * taps * params.phases) * params.dilation_w - params.pad_w;

    var s0 = Line();
    var s1 = Line();
    var s2 = Line();
    var s3 = Line();
    var s4 = Line();
    var t0 = Line();
    var t1 = Line();
    var t2 = Line();
    var t3 = Line();
    var t4 = Line();
    // Of the second channel of x, as s and t: of three lines at most.
    var u2 = Line();
    var u3 = Line();
    var u4 = Line();
    var v2 = Line();
    var v3 = Line();
    var v4 = Line();
    // The sums of the channels of dy.
    var total = vec4<f32>();
    var next_total = vec4<f32>();
    let first = params.first_strip + part * params.share;
    let end = min(first + params.share, params.end_strip);
    for (var strip_index = first; strip_index < end; strip_index++) {
        let n = quotient(strip_index, params.strips);
        let col = (strip_index - n * params.strips) * 4u;
        let plane = params.x_base
            + (n * params.groups * params.channels + group * params.channels + channel)
                * params.height
                * params.width;
        let base = params.dy_base + (n * params.groups + group) * params.outs * plane_y;
        let w = left + col * params.stride_w;
        var h = top;
        var x0 = Row();
        var x1 = Row();
        var x2 = Row();
        var x3 = Row();
        var x4 = Row();
        var z2 = Row();
        var z3 = Row();
        var z4 = Row();
        for (var line = 1u; line < params.lines; line++) {
            x1 = x2;
            x2 = x3;
            x3 = x4;
            x4 = row_of_x(plane, h, w);
            if depth > 1u {
                z2 = z3;
                z3 = z4;
                z4 = row_of_x(plane + next_plane, h, w);
            }
            h += params.stride_h;
        }
        var at = base + col;
        for (var row = 0u; row < params.rows; row++) {
            if lines > 4u {
                x0 = x1;
            }
            if lines > 3u {
                x1 = x2;
            }
            if lines > 2u {
                x2 = x3;
            }
            if lines > 1u {
                x3 = x4;
            }
            x4 = row_of_x(plane, h, w);
            if depth > 1u {
                z2 = z3;
                z3 = z4;
                z4 = row_of_x(plane + next_plane, h, w);
            }
            h += params.stride_h;
            let g = mat4x4<f32>(
                four_dy(at + o0, col),
                four_dy(at + o1, col),
                four_dy(at + o2, col),
                four_dy(at + o3, col),
            );
            total = add_totals(total, g);
            s4 = add_line(s4, x4, g);
            if lines > 1u {
                s3 = add_line(s3, x3, g);
            }
            if lines > 2u {
                s2 = add_line(s2, x2, g);
            }
            if lines > 3u {
                s1 = add_line(s1, x1, g);
            }
            if lines > 4u {
                s0 = add_line(s0, x0, g);
            }
            if depth > 1u {
                u4 = add_line(u4, z4, g);
                if lines > 1u {
                    u3 = add_line(u3, z3, g);
                }
                if lines > 2u {
                    u2 = add_line(u2, z2, g);
                }
            }
            if blocks > 1u {
                let f = mat4x4<f32>(
                    four_dy(at + o4, col),
                    four_dy(at + o5, col),
                    four_dy(at + o6, col),
                    four_dy(at + o7, col),
                );
                next_total = add_totals(next_total, f);
                t4 = add_line(t4, x4, f);
                if lines > 1u {
                    t3 = add_line(t3, x3, f);
                }
                if lines > 2u {
                    t2 = add_line(t2, x2, f);
                }
                if lines > 3u {
                    t1 = add_line(t1, x1, f);
                }
                if lines > 4u {
                    t0 = add_line(t0, x0, f);
                }
                if depth > 1u {
                    v4 = add_line(v4, z4, f);
                    if lines > 1u {
                        v3 = add_line(v3, z3, f);
                    }
                    if lines > 2u {
                        v2 = add_line(v2, z2, f);
                    }
                }
            }
            at += params.cols;
        }
    }

    // Those who take the first channel of x and the first taps see, together, all of dy once.
    if channel == 0u && band == 0u && phase == 0u && run == 0u {
        let to_totals = part * params.part_totals + group * params.outs;
        store_totals(total, to_totals, out);
        if blocks > 1u {
            store_totals(next_total, to_totals, out + 4u);
        }
    }
    let step = params.chunks
        * params.bands
        * params.channels
        * params.groups
        * params.phases
        * params.runs;
    var to = (part * step + tile) * (blocks * lines * taps);
    // The sums of the second channel move into s and t, so that there is one store to compile.
    let stored = min(params.depth, params.channels - channel);
    for (var own = 0u; own < stored; own++) {
        for (var line = params.lines; line > 0u; line--) {
            store(s4, to + (line - 1u) * taps);
            s4 = s3;
            s3 = s2;
            s2 = s1;
            s1 = s0;
        }
        if blocks > 1u {
            for (var line = params.lines; line > 0u; line--) {
                store(t4, to + (lines + line - 1u) * taps);
                t4 = t3;
                t3 = t2;
                t2 = t1;
                t1 = t0;
            }
        }
        s4 = u4;
        s3 = u3;
        s2 = u2;
        t4 = v4;
        t3 = v3;
        t2 = v2;
        to += params.bands * params.phases * params.runs * (blocks * lines * taps);
    }
}
