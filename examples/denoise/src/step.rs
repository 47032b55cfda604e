//! A training step: the network over tiles, and what makes it better on them.

use striate::graph::State;
use striate::ops::{Blending, Ema, Reduction};
use striate::plan::PlanOptions;
use striate::prelude::*;
use striate::train::Optimizer;

use crate::host::Outcome;
use crate::network::{Network, Seen};
use crate::scene::Draws;
use crate::tiles::Tile;
use crate::transfer::shown;

/// How far the network is from converged tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Mean absolute difference on the curve of its [`Transfer`](crate::transfer::Transfer): by
    /// albedo, and dark and bright alike.
    Encoded,
    /// Mean squared difference of what is shown, by which pictures are compared.
    Shown,
}

/// What a step is to be.
#[derive(Debug, Clone, Copy)]
pub struct StepSettings<'a> {
    /// Tiles, and their width and height.
    pub batch: usize,
    pub side: usize,
    /// What is made smaller, by what.
    pub loss: Loss,
    pub optimizer: &'a Optimizer,
    /// How the weights that frames are denoised with follow those that are trained; without, they
    /// are the same.
    pub average: Option<Ema>,
    /// Patterns of the names of layers that stay as they are.
    pub frozen: &'a [&'a str],
}

/// The graph of a step.
#[derive(Debug)]
pub struct StepGraph {
    /// The graph.
    pub graph: Graph,
    seen: Seen,
    target: Value,
    loss: Value,
    shape: [usize; 4],
}

impl StepGraph {
    /// Over square tiles.
    ///
    /// # Errors
    /// Those of the network and of the optimizer.
    pub fn new(network: &Network, settings: &StepSettings<'_>) -> Result<Self> {
        let (batch, side) = (settings.batch, settings.side);
        let shape = [batch, 3, side, side];
        let mut g = Graph::new();
        let seen = Seen::inputs(&mut g, shape)?;
        let target = g.input("target", Type::f32(shape))?;
        let prefix = settings.average.map_or("", |_| FAST);
        let patterns = settings.frozen.iter();
        let mut cx = patterns.fold(Build::train(&mut g), |cx, pattern| cx.freeze(pattern));
        let made = network.build(&mut cx, prefix, seen)?;
        cx.expect_frozen()?;
        let loss = match settings.loss {
            Loss::Encoded => {
                let wanted = network.transfer.forward(&mut g, target, made.scale)?;
                g.l1_loss(made.encoded, wanted, Reduction::Mean)?
            }
            Loss::Shown => {
                let [made, wanted] = [shown(&mut g, made.linear)?, shown(&mut g, target)?];
                g.mse_loss(made, wanted, Reduction::Mean)?
            }
        };
        settings.optimizer.minimize(&mut g, loss)?;
        if let Some(average) = settings.average {
            follow(&mut g, average)?;
        }
        Ok(Self {
            graph: g,
            seen,
            target,
            loss,
            shape,
        })
    }
}

/// What stands before the names of parameters that are trained where others follow them.
pub const FAST: &str = "fast.";

/// Lets each parameter NAME follow `fast.NAME`, as its moving average.
fn follow(g: &mut Graph, average: Ema) -> Result<()> {
    let fast = |state: &State| state.name.strip_prefix(FAST).map(str::to_owned);
    let (mut slow, mut new) = (Vec::new(), Vec::new());
    for (state, value) in g.assigns().to_vec() {
        let state = g.states().iter().find(|own| own.value == state);
        let named = state.and_then(|s| Some((fast(s)?, s.ty.clone(), s.init.clone())));
        if let Some((name, ty, init)) = named {
            slow.push(g.state(&name, ty, StateKind::Parameter, init, None)?);
            new.push(value);
        }
    }
    let clock = g.clock()?;
    let followed = g.blend(Blending::Ema(average), &slow, &new, clock)?;
    for (slow, followed) in slow.into_iter().zip(followed) {
        g.assign(slow, followed)?;
    }
    Ok(())
}

/// A session of it.
#[derive(Debug)]
pub struct Step {
    /// The session. Its plan is staged, so that a step may be recorded in slices.
    pub session: Session,
    /// The loss of the last step.
    pub loss: Value,
    seen: Seen,
    target: Value,
    shape: [usize; 4],
}

impl Step {
    /// With the weights of a store, which other sessions may read at the same time.
    ///
    /// # Errors
    /// Those of a session.
    pub fn new(store: &Store, step: &StepGraph) -> Result<Self> {
        let options = PlanOptions {
            staged: true,
            ..PlanOptions::default()
        };
        let builder = Session::builder(store, &step.graph).fetch(&[step.loss]);
        Ok(Self {
            session: builder.options(options).build()?,
            loss: step.loss,
            seen: step.seen,
            target: step.target,
            shape: step.shape,
        })
    }

    /// Gives the next step tiles at random: as they are, or each mirrored, turned and with its
    /// channels exchanged at random.
    ///
    /// # Errors
    /// If there are no tiles; what the device says.
    pub fn feed(&mut self, tiles: &[Tile], draws: &mut Draws, varied: bool) -> Outcome<()> {
        let [batch, _, side, _] = self.shape;
        let mut inputs: [Vec<f32>; 4] = Default::default();
        for _ in 0..batch {
            let tile = tiles
                .get(draws.one_of(tiles.len()))
                .ok_or("there are no tiles")?;
            let [colour, albedo, normal] = &tile.frames[draws.one_of(tile.frames.len())];
            let view = match varied {
                true => View::random(draws, side),
                false => View::plain(side),
            };
            for (input, picture) in inputs.iter_mut().zip([colour, albedo, &tile.target]) {
                view.append(&picture.planes, input, true);
            }
            view.append(&normal.planes, &mut inputs[3], false);
        }
        let Seen {
            colour,
            albedo,
            normal,
        } = self.seen;
        for (value, input) in [colour, albedo, self.target, normal]
            .into_iter()
            .zip(inputs)
        {
            self.session
                .write(value, &Tensor::f32(self.shape, input)?)?;
        }
        Ok(())
    }
}

/// One of the eight ways to lay a square, and one of the six orders of three channels.
struct View {
    side: usize,
    mirrored: [bool; 2],
    turned: bool,
    order: [usize; 3],
}

impl View {
    /// As it is.
    fn plain(side: usize) -> Self {
        Self {
            side,
            mirrored: [false; 2],
            turned: false,
            order: [0, 1, 2],
        }
    }

    fn random(draws: &mut Draws, side: usize) -> Self {
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        Self {
            side,
            mirrored: [draws.one_of(2) == 1, draws.one_of(2) == 1],
            turned: draws.one_of(2) == 1,
            order: orders[draws.one_of(6)],
        }
    }

    /// Appends planes `[3, side, side]`, their channels exchanged if they are `colours`.
    fn append(&self, planes: &[f32], to: &mut Vec<f32>, colours: bool) {
        let side = self.side;
        for channel in 0..3 {
            let channel = if colours {
                self.order[channel]
            } else {
                channel
            };
            let plane = &planes[channel * side * side..][..side * side];
            for y in 0..side {
                let y = if self.mirrored[0] { side - 1 - y } else { y };
                to.extend((0..side).map(|x| {
                    let x = if self.mirrored[1] { side - 1 - x } else { x };
                    plane[if self.turned {
                        x * side + y
                    } else {
                        y * side + x
                    }]
                }));
            }
        }
    }
}
