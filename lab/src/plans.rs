//! The plan of a network as text: for each dispatch the op, its kernel with overrides, the states
//! that it binds, how many workgroups it has, and why these were chosen.

use std::collections::BTreeSet;

use clap::ValueEnum;
use striate::gpu::{Gpu, GpuOptions};
use striate::kernel::{Body, Caps};
use striate::models;
use striate::plan::{Plan, PlanOptions, StateLayout, Step};
use striate::prelude::*;
use striate::train::{Sgd, minimize};

/// The device that a plan is made for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Target {
    /// A GPU with WebGPU's default limits
    Gpu,
    /// A GL device of four storage buffers
    Gl,
    /// The best adapter of this machine
    Here,
}

impl Target {
    fn caps(self) -> Result<Caps> {
        match self {
            Target::Gpu => Ok(Caps::default()),
            Target::Gl => Ok(Caps {
                body: Body::Registers,
                ..Caps::default()
            }),
            Target::Here => Ok(Gpu::new(&GpuOptions::default())?.caps().clone()),
        }
    }
}

/// The dispatches of a training step of a network, those alone that bind a state of a layer
/// `node`, or that the op `node` emits.
///
/// # Errors
/// `Unsupported` if there is no such network; `Graph` if nothing is of that name.
pub fn show(network: &str, batch: usize, target: Target, node: Option<&str>) -> Result<String> {
    let (g, plan) = planned(network, batch, &target.caps()?)?;
    let mut text = String::new();
    for step in &plan.steps {
        let states = states_of(step, &g, &plan);
        let of_node = |node: &str| {
            let layer = format!("{node}.");
            let own = |state: &String| state == node || state.starts_with(&layer);
            step.op == node || states.iter().any(own)
        };
        if node.is_none_or(of_node) {
            text += &line(step, &states);
        }
    }
    match node {
        Some(node) if text.is_empty() => Err(Error::new(
            ErrorKind::Graph,
            format!("{network} has no layer with parameters and no op \"{node}\""),
        )),
        _ => Ok(text),
    }
}

/// A training step of a network by stochastic gradient descent, and its plan.
fn planned(network: &str, batch: usize, caps: &Caps) -> Result<(Graph, Plan)> {
    let model = models::by_name(network, 10)?;
    let [channels, height, width] = model.input();
    let mut g = Graph::new();
    let x = g.input("images", Type::f32([batch, channels, height, width]))?;
    let y = g.input("labels", Type::u32([batch]))?;
    let logits = model.build(&mut Build::train(&mut g), x)?;
    let loss = g.cross_entropy(logits, y)?;
    minimize(&mut g, loss, Sgd::new())?;
    let layout = StateLayout::new(&[&g], caps.max_binding)?;
    let plan = Plan::new(&g, &layout, &[loss], caps, PlanOptions::default())?;
    Ok((g, plan))
}

/// The states that a dispatch binds, by name; one that walks over whole chunks binds many.
fn states_of(step: &Step, g: &Graph, plan: &Plan) -> Vec<String> {
    let mut names = BTreeSet::new();
    for state in g.states() {
        let places = plan.places.get(&state.value).into_iter().flatten();
        for place in places {
            let (start, end) = (place.span.offset, place.span.offset + place.span.bytes);
            let bound = step.bindings.iter().any(|(span, _)| {
                let meets = span.offset < end && start < span.offset + span.bytes;
                span.buffer == place.span.buffer && meets
            });
            if bound {
                names.insert(state.name.clone());
            }
        }
    }
    names.into_iter().collect()
}

fn line(step: &Step, states: &[String]) -> String {
    let constants: Vec<String> = step
        .constants
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let states = match states {
        [] => String::new(),
        [first, .., last] if states.len() > 4 => {
            format!("  {first} to {last}, {} states", states.len())
        }
        few => format!("  {}", few.join(", ")),
    };
    let mut text = format!(
        "{}{states}\n    {} {}: {} workgroups\n",
        step.op,
        step.kernel.name,
        constants.join(" "),
        step.count
    );
    if !step.reason.is_empty() {
        text += &format!("    {}\n", step.reason);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_shown_with_its_kernels_and_why() {
        let text = show("lenet5", 64, Target::Gpu, Some("conv2")).unwrap();
        assert!(text.contains("conv_forward_shared tile=32"), "{text}");
        assert!(text.contains("implicit GEMM: tiles of workgroup memory, by rule, "));
        assert!(!text.contains("conv1"), "{text}");
        let text = show("lenet5", 64, Target::Gl, Some("conv2")).unwrap();
        assert!(text.contains("in registers: by rule for a CPU adapter or GL of few buffers, "));
        let error = show("lenet5", 64, Target::Gpu, Some("conv9")).unwrap_err();
        assert!(error.to_string().contains("\"conv9\""));
    }

    /// Where tiles of 32 x 32 and, if its sums may be split, runs of eight terms suffice for it, a
    /// product has at least 64 workgroups.
    #[test]
    fn products_fill_a_card() {
        for (network, batch) in [("lenet5", 128), ("resnet18", 32)] {
            let (_, plan) = planned(network, batch, &Caps::default()).unwrap();
            let products = plan.steps.iter().filter(|step| {
                let whole = step.base == 0;
                whole && step.kernel.name.ends_with("_shared")
            });
            let mut seen = 0;
            for step in products {
                let of = |name: &str| {
                    let found = step.params.iter().find(|param| param.name == name);
                    found.map_or(1, |param| param.bits as usize)
                };
                let tiles = of("m").div_ceil(32) * of("n").div_ceil(32) * of("groups");
                let splits = match step.kernel.name.as_ref() {
                    "conv_forward_shared" | "conv_grad_input_shared" => 1,
                    _ => (of("k") / 8).max(1),
                };
                let fills = step.count >= 64 || tiles * splits < 64;
                assert!(fills, "{network}: {}", line(step, &[]));
                seen += 1;
            }
            assert!(seen > 10, "{network} has {seen} products");
        }
    }
}
