//! What a device can do at most: multiply-adds that touch no memory, and a copy.

use std::borrow::Cow;

use striate::check::{Bound, Case, real};
use striate::error::{Error, ErrorKind, Result};
use striate::gpu::Gpu;
use striate::graph::{Graph, Node, Op, Value};
use striate::kernel::{Caps, Dispatch, GRID, Io, Kernel, Lowering, Operand, Overrides};
use striate::shape::Type;
use striate::tensor::Array;

use super::measure::{Subject, Times};

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

    pub fn measure(gpu: &Gpu, rounds: usize, seconds: f64) -> Result<Self> {
        let invocations = 64 * WORKGROUPS;
        let flops = (2 * 4 * CHAINS * TURNS * invocations) as f64;
        let chains = Case::new("peak/multiply-add", vec![real([4])], |g, x| {
            Ok(vec![g.apply1(MultiplyAdd, &[x[0]])?])
        });
        let best = |case: &Case, bytes| -> Result<f64> {
            let mut subject = Subject::new(gpu, case, bytes, seconds)?;
            let times = (0..rounds).map(|_| subject.time());
            Ok(Times::of(times.collect::<Result<_>>()?)?.best)
        };
        let chained = best(&chains, 1 << 30)?;
        let count = 8 << 20;
        let copy = Case::new("peak/copy", vec![real([count])], |g, x| {
            Ok(vec![g.scale(x[0], 2.0)?])
        })
        .bound(Bound::Ulp(1.0));
        let bytes = 8 * count as u64;
        Ok(Self {
            gflops: flops / chained / 1e6,
            gbps: bytes as f64 / best(&copy, bytes)? / 1e6,
        })
    }
}

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
