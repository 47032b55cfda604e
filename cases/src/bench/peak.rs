//! What a device can do at most: multiply-adds that touch no memory, and a copy.

use std::borrow::Cow;

use striate::check::{Bound, Case, real};
use striate::error::{Error, ErrorKind, Result};
use striate::graph::{Graph, Node, Op, Value};
use striate::kernel::{Caps, Dispatch, GRID, Io, Kernel, Lowering, Operand, Overrides};
use striate::shape::Type;
use striate::tensor::Array;

/// Highest rates that were measured.
#[derive(Debug, Clone, Copy)]
pub struct Peak {
    /// 10^9 floating-point operations per second; a multiply-add is two.
    pub gflops: f64,
    /// 10^9 bytes per second, read and written.
    pub gbps: f64,
}

impl Peak {
    /// Milliseconds below which work of this size cannot come.
    pub fn floor(&self, flops: f64, bytes: f64) -> f64 {
        (flops / self.gflops).max(bytes / self.gbps) / 1e6
    }

    /// What is timed: multiply-adds, and a copy.
    pub fn cases() -> [PeakCase; 2] {
        let chains = Case::new("peak/multiply-add", vec![real([4])], |g, x| {
            Ok(vec![g.apply1(MultiplyAdd, &[x[0]])?])
        });
        let copy = Case::new("peak/copy", vec![real([COPIED])], |g, x| {
            Ok(vec![g.scale(x[0], 2.0)?])
        })
        .bound(Bound::Ulp(1.0));
        [
            // No second copy of its buffers is to be made.
            PeakCase {
                case: chains,
                bytes: 1 << 30,
            },
            PeakCase {
                case: copy,
                bytes: COPIED_BYTES,
            },
        ]
    }

    /// From the milliseconds of one run of each of [`cases`](Self::cases).
    pub fn of(chained: f64, copied: f64) -> Self {
        let flops = (2 * 4 * CHAINS * TURNS * 64 * WORKGROUPS) as f64;
        Self {
            gflops: flops / chained / 1e6,
            gbps: COPIED_BYTES as f64 / copied / 1e6,
        }
    }
}

/// A case of a peak, and the bytes by which copies of its buffers are counted.
pub struct PeakCase {
    /// What runs.
    pub case: Case,
    /// Bytes.
    pub bytes: u64,
}

/// Elements that are copied, and the bytes that this reads and writes.
const COPIED: usize = 8 << 20;
const COPIED_BYTES: u64 = 8 * COPIED as u64;

/// Independent chains of `vec4` multiply-adds per invocation, and links of each.
const CHAINS: usize = 8;
const TURNS: usize = 512;
const WORKGROUPS: usize = 1024;

/// One number per invocation from chains of multiply-adds: y = a chain of x = x * p + q, summed.
#[derive(Debug)]
struct MultiplyAdd;

impl Op for MultiplyAdd {
    fn name(&self) -> &'static str {
        "multiply_add"
    }

    fn infer(&self, _: &[&Type]) -> Result<Vec<Type>> {
        Ok(vec![Type::f32([64 * WORKGROUPS])])
    }

    fn eval(&self, _: &[&Array]) -> Vec<Array> {
        vec![Array::float([64 * WORKGROUPS], vec![0.0; 64 * WORKGROUPS])]
    }

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(Error::new(
            ErrorKind::NotDifferentiable,
            "multiply_add measures, it has no gradient",
        ))
    }

    fn lower(&self, _: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        const VARIANTS: &[Overrides] = &[&[]];
        let kernel = Kernel::module("multiply_add", format!("{MULTIPLY_ADD}{GRID}"), VARIANTS);
        out.push(
            Dispatch::of(Cow::Owned(kernel), VARIANTS[0])
                .read(Operand::Input(0))
                .write(Operand::Output(0))
                .param("turns", TURNS)
                .workgroups(WORKGROUPS),
        );
        Ok(())
    }
}

const MULTIPLY_ADD: &str = "
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    grid: Grid,
    turns: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = workgroup_index(group) * 64u + local;
    let p = x[0];
    let q = vec4<f32>(1.0 + f32(i & 7u));
    var a = p;
    var b = p + 1.0;
    var c = p + 2.0;
    var d = p + 3.0;
    var e = p + 4.0;
    var f = p + 5.0;
    var g = p + 6.0;
    var h = p + 7.0;
    for (var turn = 0u; turn < params.turns; turn++) {
        a = a * p + q;
        b = b * p + q;
        c = c * p + q;
        d = d * p + q;
        e = e * p + q;
        f = f * p + q;
        g = g * p + q;
        h = h * p + q;
    }
    y[i] = dot(a + b + c + d, e + f + g + h);
}
";
