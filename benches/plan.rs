//! Time of making plans, without a device: `cargo bench --bench plan`.
//!
//! Each case comes in several sizes n. Beside its time stands how much it grew from the size
//! before, in units of n log n: 1 is that growth, 2 twice as much. Times are the least of several
//! rounds.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use striate::kernel::{Body, Caps, WINDOW};
use striate::models::resnet_cifar;
use striate::nn::{Build, Module};
use striate::plan::{Plan, PlanOptions, StateLayout};
use striate::prelude::*;
use striate::train::{Sgd, minimize};

/// A graph of each size, and what is fetched from it.
struct Case {
    name: &'static str,
    sizes: &'static [usize],
    build: fn(usize) -> Result<(Graph, Vec<Value>)>,
}

const CASES: [Case; 5] = [
    Case {
        name: "residual network of n layers, a training step",
        sizes: &[20, 110, 434],
        build: residual,
    },
    Case {
        name: "group norm of [n, 2625] in 2,625 groups, with gradients",
        sizes: &[4096, 8192, 16_384],
        build: |n| grouped(n, 2625),
    },
    Case {
        name: "layer norm of [n, 512], with gradients",
        sizes: &[4096, 16_384, 65_536],
        build: |n| grouped(n, 1),
    },
    Case {
        name: "chunk into n",
        sizes: &[4096, 16_384, 65_536],
        build: chunks,
    },
    Case {
        name: "n functions in a row, with gradients",
        sizes: &[1000, 4000, 16_000],
        build: row,
    },
];

fn residual(depth: usize) -> Result<(Graph, Vec<Value>)> {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([128, 3, 32, 32]))?;
    let labels = g.input("labels", Type::u32([128]))?;
    let logits = resnet_cifar(depth, 10)?.build(&mut Build::train(&mut g), x)?;
    let loss = g.cross_entropy(logits, labels)?;
    minimize(&mut g, loss, Sgd::new().lr(0.1).momentum(0.9))?;
    Ok((g, vec![loss]))
}

fn grouped(n: usize, groups: usize) -> Result<(Graph, Vec<Value>)> {
    let channels = if groups == 1 { 512 } else { groups };
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([n, channels]))?;
    let weight = g.parameter("weight", [channels], Init::Constant(1.0))?;
    let bias = g.parameter("bias", [channels], Init::Constant(0.0))?;
    let y = g.group_norm(x, groups, Some(weight), Some(bias), 1e-5)?;
    let y = g.tanh(y)?;
    let loss = g.sum(y, &[0, 1], false)?;
    let found = gradients(&mut g, loss, &[x, weight, bias])?;
    Ok((g, found))
}

fn chunks(n: usize) -> Result<(Graph, Vec<Value>)> {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([n, 4]))?;
    let found = g.chunk(x, n, 0)?;
    Ok((g, found))
}

fn row(n: usize) -> Result<(Graph, Vec<Value>)> {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([64]))?;
    let mut y = x;
    for _ in 0..n {
        y = g.tanh(y)?;
    }
    let loss = g.sum(y, &[0], false)?;
    let found = gradients(&mut g, loss, &[x])?;
    Ok((g, found))
}

/// The least time of a plan, with the layout of its states, and the plan.
fn planned(graph: &Graph, fetched: &[Value], caps: &Caps) -> Result<(Duration, Plan)> {
    let mut least: Option<(Duration, Plan)> = None;
    for _ in 0..3 {
        let start = Instant::now();
        let states = StateLayout::new(&[graph], caps.max_binding)?;
        let plan = Plan::new(graph, &states, fetched, caps, PlanOptions::default())?;
        let time = start.elapsed();
        if least.as_ref().is_none_or(|known| time < known.0) {
            least = Some((time, plan));
        }
    }
    least.ok_or_else(|| Error::new(ErrorKind::Graph, "no round was run"))
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, the run goes on.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

fn main() -> Result<()> {
    let cpu = Caps {
        body: Body::Registers,
        windows: true,
        max_uniform: WINDOW,
        ..Caps::default()
    };
    for (device, caps) in [("a GPU", Caps::default()), ("a CPU adapter", cpu)] {
        say(format!("for {device}"))?;
        for case in &CASES {
            say(format!("  {}", case.name))?;
            say(format!(
                "  {:>8}{:>10}{:>8}{:>12}{:>8}{:>12}{:>12}",
                "n", "ms", "growth", "dispatches", "slots", "slot MiB", "live MiB"
            ))?;
            let mut before: Option<(f64, f64)> = None;
            for &n in case.sizes {
                let (graph, fetched) = (case.build)(n)?;
                let (time, plan) = planned(&graph, &fetched, &caps)?;
                let (ms, size) = (time.as_secs_f64() * 1e3, n as f64);
                let work = size * size.log2();
                let growth = before.map_or(String::new(), |(known, small)| {
                    format!("{:.2}", ms / known / (work / small))
                });
                let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
                say(format!(
                    "  {n:>8}{ms:>10.2}{growth:>8}{:>12}{:>8}{:>12.1}{:>12.1}",
                    plan.steps.len(),
                    plan.slots.len(),
                    mib(plan.bytes.slots),
                    mib(plan.bytes.live)
                ))?;
                before = Some((ms, work));
            }
        }
    }
    Ok(())
}
