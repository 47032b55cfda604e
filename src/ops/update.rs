//! Optimizer updates over many parameters at once, and learning-rate schedules.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides};
use crate::shape::{DType, Type};
use crate::tensor::Array;

use super::{copy, expect_clock, expect_dtype, expect_f32, expect_inputs, quads};

// Parameters and builder.

/// Stochastic gradient descent, as PyTorch's `SGD` with dampening 0:
/// g += weight_decay * p; m = momentum * m + g; p -= lr * (nesterov: g + momentum * m, else m; without momentum: g).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sgd {
    /// Factor on the moment; with 0 there is none.
    pub momentum: f64,
    /// Whether the step looks ahead along the moment.
    pub nesterov: bool,
    /// Factor on the parameter that is added to the gradient.
    pub weight_decay: f64,
}

/// As PyTorch's `Adam`, or `AdamW` if `decoupled`, at step t = clock step + 1:
/// g += weight_decay * p (decoupled: p *= 1 - lr * weight_decay); m = beta1 * m + (1 - beta1) * g;
/// v = beta2 * v + (1 - beta2) * g^2; p -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root; above 0.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether weight decay shrinks the parameter itself (AdamW).
    pub decoupled: bool,
}

impl Default for Adam {
    /// PyTorch's defaults: 0.9, 0.999, 1e-8, no weight decay.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
        }
    }
}

/// How parameters are updated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam and AdamW.
    Adam(Adam),
}

impl Rule {
    /// Moments kept per parameter.
    pub fn moments(&self) -> usize {
        match self {
            Rule::Sgd(sgd) => usize::from(sgd.momentum != 0.0),
            Rule::Adam(_) => 2,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Rule::Sgd(_) => "sgd",
            Rule::Adam(adam) if adam.decoupled => "adamw",
            Rule::Adam(_) => "adam",
        }
    }

    fn check(&self) -> Result<()> {
        let decay = match self {
            Rule::Sgd(sgd) => sgd.weight_decay,
            Rule::Adam(adam) => adam.weight_decay,
        };
        let wrong = match self {
            _ if !(decay >= 0.0 && decay.is_finite()) => {
                format!("weight decay {decay} is not a number of at least 0")
            }
            Rule::Sgd(sgd) if !(sgd.momentum >= 0.0 && sgd.momentum.is_finite()) => {
                format!("momentum {} is not a number of at least 0", sgd.momentum)
            }
            Rule::Sgd(sgd) if sgd.nesterov && sgd.momentum == 0.0 => {
                "nesterov needs a momentum".to_owned()
            }
            Rule::Adam(a) if ![a.beta1, a.beta2].iter().all(|b| (0.0..1.0).contains(b)) => {
                format!("betas {} and {} are not in [0, 1)", a.beta1, a.beta2)
            }
            // Unused elements between store entries are 0 / (0 + eps): eps must be a normal f32.
            Rule::Adam(a) if !(a.eps >= f64::from(f32::MIN_POSITIVE) && a.eps.is_finite()) => {
                format!("eps {} is not a normal number above 0", a.eps)
            }
            _ => return Ok(()),
        };
        Err(Error::shape(format!("{}: {wrong}", self.name())))
    }
}

/// One step of a [`Rule`] for n parameters.
///
/// Inputs: n parameters, n gradients, n of each moment, the learning rate `f32 []`, the clock `u32 [4]`.
/// Outputs: n new parameters, n of each new moment. Parameters and moments are updated in place where the plan allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    rule: Rule,
    count: usize,
    in_place: Vec<(usize, usize)>,
}

impl Update {
    /// The op for `count` parameters.
    pub fn new(rule: Rule, count: usize) -> Self {
        let parameters = (0..count).map(|i| (i, i));
        let moments = (count..count * (1 + rule.moments())).map(|o| (o + count, o));
        Self {
            rule,
            count,
            in_place: parameters.chain(moments).collect(),
        }
    }

    /// The rule that it applies.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Inputs that are parameters, gradients and moments.
    fn tensors(&self) -> usize {
        self.count * (2 + self.rule.moments())
    }
}

/// What [`Graph::update`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// New parameters.
    pub params: Vec<Value>,
    /// For each moment of the rule, its new values, one per parameter.
    pub moments: Vec<Vec<Value>>,
}

/// Element min(step, n - 1) of a table `[n]`: a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup;

impl Graph {
    /// One step of `rule`: new values of `params` and of each of the rule's `moments`, given `grads` in the order of `params`
    /// and the learning rate `lr`, an `f32 []`. Assigning them to the states is left to the caller.
    pub fn update(
        &mut self,
        rule: Rule,
        params: &[Value],
        grads: &[Value],
        moments: &[Vec<Value>],
        lr: Value,
    ) -> Result<Updated> {
        let count = params.len();
        let op = Update::new(rule, count);
        if grads.len() != count
            || moments.len() != rule.moments()
            || moments.iter().any(|m| m.len() != count)
        {
            let moments: Vec<usize> = moments.iter().map(Vec::len).collect();
            return Err(Error::shape(format!(
                "{}: {count} parameters, {} gradients, {moments:?} moments; {} moments each are needed",
                rule.name(),
                grads.len(),
                rule.moments()
            )));
        }
        let clock = self.clock()?;
        let mut inputs = [params, grads].concat();
        inputs.extend(moments.iter().flatten());
        inputs.extend([lr, clock]);
        let mut outputs = self.add(op, &inputs)?;
        let moments = match count {
            0 => vec![Vec::new(); rule.moments()],
            _ => outputs[count..].chunks(count).map(<[_]>::to_vec).collect(),
        };
        outputs.truncate(count);
        Ok(Updated {
            params: outputs,
            moments,
        })
    }

    /// Element min(step, n - 1) of `table` `[n]` by the clock's step: a learning-rate schedule.
    pub fn lookup(&mut self, table: Value) -> Result<Value> {
        let clock = self.clock()?;
        self.add1(Lookup, &[table, clock])
    }
}

/// Steps counted by a clock.
fn step(clock: &Array) -> u32 {
    clock.u32s()[2]
}

impl Op for Update {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let name = self.name();
        self.rule.check()?;
        expect_inputs(name, inputs, self.tensors() + 2)?;
        for (i, ty) in inputs[..self.tensors()].iter().enumerate() {
            expect_f32(name, "a parameter, gradient or moment", ty)?;
            let param = inputs[i % self.count];
            if *ty != param {
                let what = ["parameter", "gradient", "moment 1", "moment 2"][i / self.count];
                return Err(Error::shape(format!(
                    "{name}: {what} {} is {}, its parameter {}",
                    i % self.count,
                    ty.shape,
                    param.shape
                )));
            }
        }
        let (lr, clock) = (inputs[self.tensors()], inputs[self.tensors() + 1]);
        if lr != &Type::f32([]) {
            return Err(Error::shape(format!(
                "{name}: lr is {lr}, f32 [] is needed"
            )));
        }
        expect_clock(name, clock)?;
        let outputs = (0..self.count * (1 + self.rule.moments())).map(|o| o % self.count);
        Ok(outputs.map(|i| inputs[i].clone()).collect())
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let n = self.count;
        let lr = inputs[self.tensors()].floats()[0];
        let t = f64::from(step(inputs[self.tensors() + 1])) + 1.0;
        let mut outputs: Vec<Vec<f64>> = (0..n).map(|i| inputs[i].floats().to_vec()).collect();
        outputs.extend((2 * n..self.tensors()).map(|i| inputs[i].floats().to_vec()));
        for i in 0..n {
            for (j, &grad) in inputs[n + i].floats().iter().enumerate() {
                let mut p = outputs[i][j];
                let mut g = grad;
                match self.rule {
                    Rule::Sgd(sgd) => {
                        g += sgd.weight_decay * p;
                        if sgd.momentum != 0.0 {
                            let m = sgd.momentum * outputs[n + i][j] + g;
                            outputs[n + i][j] = m;
                            g = match sgd.nesterov {
                                true => g + sgd.momentum * m,
                                false => m,
                            };
                        }
                        p -= lr * g;
                    }
                    Rule::Adam(adam) => {
                        match adam.decoupled {
                            true => p *= 1.0 - lr * adam.weight_decay,
                            false => g += adam.weight_decay * p,
                        }
                        let m = adam.beta1 * outputs[n + i][j] + (1.0 - adam.beta1) * g;
                        let v = adam.beta2 * outputs[2 * n + i][j] + (1.0 - adam.beta2) * g * g;
                        outputs[n + i][j] = m;
                        outputs[2 * n + i][j] = v;
                        let m = m / (1.0 - adam.beta1.powf(t));
                        let v = v / (1.0 - adam.beta2.powf(t));
                        p -= lr * m / (v.sqrt() + adam.eps);
                    }
                }
                outputs[i][j] = p;
            }
        }
        let shapes = (0..outputs.len()).map(|o| inputs[o % n].shape().clone());
        shapes
            .zip(outputs)
            .map(|(shape, values)| Array::float(shape, values))
            .collect()
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Err(Error::new(
            ErrorKind::NotDifferentiable,
            format!("{}: an update has no gradient", self.name()),
        ))
    }

    // Lowering.

    fn in_place(&self) -> &[(usize, usize)] {
        &self.in_place
    }

    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        for &(input, output) in &self.in_place {
            if io.in_place[output] == Some(input) {
                continue;
            }
            let (from, to) = (Operand::Input(input), Operand::Output(output));
            for (part, rows) in io.output_parts[output].iter().enumerate() {
                let bytes = 16 * quads(&io.outputs[output], rows.rows) as u64;
                out.push(copy((from, part), (to, part), bytes));
            }
        }
        let mut i = 0;
        while i < self.count {
            let end = self.run(io, caps, i);
            if end > i + 1 {
                let quads = self.run_bytes(io, i, end) / 16;
                out.push(self.dispatch(i, end - 1, 0, quads as usize));
            } else {
                for (part, rows) in io.output_parts[i].iter().enumerate() {
                    let quads = quads(&io.outputs[i], rows.rows);
                    out.push(self.dispatch(i, i, part, quads));
                }
            }
            i = end;
        }
        Ok(())
    }
}

impl Update {
    /// The operands that belong to parameter `i`, in the order of the kernel's bindings.
    fn operands(&self, i: usize) -> Vec<Operand> {
        let moments = (1..=self.rule.moments()).map(|m| Operand::Output(m * self.count + i));
        let grad = Operand::Input(self.count + i);
        [Operand::Output(i), grad]
            .into_iter()
            .chain(moments)
            .collect()
    }

    /// Bytes from the start of parameter `first` to the end of the one before `end`, all in one run.
    fn run_bytes(&self, io: &Io, first: usize, end: usize) -> u64 {
        let between = (first..end - 1)
            .filter_map(|i| io.location(Operand::Output(i)))
            .map(|location| location.bytes);
        between.sum::<u64>() + io.outputs[end - 1].bytes()
    }

    /// The end of the longest run of parameters from `first` on whose operands each follow the one before at one and the same
    /// distance in the store, within one binding.
    fn run(&self, io: &Io, caps: &Caps, first: usize) -> usize {
        let follows = |i: usize| {
            let distance = io.location(Operand::Output(i)).map(|l| l.bytes);
            let mut pairs = self.operands(i).into_iter().zip(self.operands(i + 1));
            pairs.all(|(a, b)| match (io.location(a), io.location(b)) {
                (Some(a), Some(b)) => {
                    Some(a.bytes) == distance
                        && a.chunk == b.chunk
                        && a.offset + a.bytes == b.offset
                }
                _ => false,
            })
        };
        let mut end = first + 1;
        while end < self.count
            && follows(end - 1)
            && self.run_bytes(io, first, end + 1) <= caps.max_binding
        {
            end += 1;
        }
        end
    }

    /// The update of parameters `first..=last`, or of one part of one.
    fn dispatch(&self, first: usize, last: usize, part: usize, quads: usize) -> Dispatch {
        let kernel = match (self.rule, self.rule.moments()) {
            (Rule::Sgd(_), 0) => &SGD,
            (Rule::Sgd(_), _) => &SGD_MOMENTUM,
            (Rule::Adam(_), _) => &ADAM,
        };
        let mut dispatch = Dispatch::new(kernel, VARIANTS[0]);
        for (b, (from, to)) in self
            .operands(first)
            .into_iter()
            .zip(self.operands(last))
            .enumerate()
        {
            dispatch = match b {
                1 => dispatch.read(from),
                _ => dispatch.write(from),
            };
            dispatch = match first == last {
                true => dispatch.part(part),
                false => dispatch.through(to),
            };
        }
        dispatch = dispatch.uniform(Operand::Input(self.tensors()));
        match self.rule {
            Rule::Sgd(sgd) => dispatch
                .param("quads", quads)
                .param_f32("weight_decay", sgd.weight_decay as f32)
                .param_f32("momentum", sgd.momentum as f32)
                .param("nesterov", sgd.nesterov.into()),
            Rule::Adam(adam) => {
                // Below -1000 the power is 0 in f32, whatever t is; ln(0) is not finite.
                let log = |beta: f64| beta.ln().max(-1000.0) as f32;
                dispatch
                    .uniform(Operand::Input(self.tensors() + 1))
                    .param("quads", quads)
                    .param_f32("weight_decay", adam.weight_decay as f32)
                    .param("decoupled", adam.decoupled.into())
                    .param_f32("beta1", adam.beta1 as f32)
                    .param_f32("rest1", (1.0 - adam.beta1) as f32)
                    .param_f32("log_beta1", log(adam.beta1))
                    .param_f32("beta2", adam.beta2 as f32)
                    .param_f32("rest2", (1.0 - adam.beta2) as f32)
                    .param_f32("log_beta2", log(adam.beta2))
                    .param_f32("eps", adam.eps as f32)
            }
        }
        .workgroups(quads.div_ceil(WORKGROUP))
    }
}

impl Op for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    // Shape rule.

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs("lookup", inputs, 2)?;
        let (table, clock) = (inputs[0], inputs[1]);
        expect_dtype("lookup", "table", table, DType::F32)?;
        if table.shape.len() != 1 || table.count() == 0 {
            return Err(Error::shape(format!(
                "lookup: table {} is not a row of at least one element",
                table.shape
            )));
        }
        expect_clock("lookup", clock)?;
        Ok(vec![Type::f32([])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let table = inputs[0].floats();
        let at = (step(inputs[1]) as usize).min(table.len() - 1);
        vec![Array::float([], vec![table[at]])]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None, None])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole("lookup")?;
        out.push(
            Dispatch::new(&LOOKUP, ONE)
                .read(Operand::Input(0))
                .write(Operand::Output(0))
                .uniform(Operand::Input(1))
                .param("count", io.inputs[0].count())
                .workgroups(1),
        );
        Ok(())
    }
}

const WORKGROUP: usize = 64;

const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];
const ONE: Overrides = &[];

static SGD: Kernel = Kernel::new(
    "sgd",
    shader_files!["sgd", "sgd_plain", "lib/grid"],
    VARIANTS,
);
static SGD_MOMENTUM: Kernel = Kernel::new(
    "sgd_momentum",
    shader_files!["sgd", "sgd_momentum", "lib/grid"],
    VARIANTS,
);
static ADAM: Kernel = Kernel::new("adam", shader_files!["adam", "lib/grid"], VARIANTS);
static LOOKUP: Kernel = Kernel::new("lookup", shader_files!["lookup", "lib/grid"], &[ONE]);

pub(super) const KERNELS: &[&Kernel] = &[&SGD, &SGD_MOMENTUM, &ADAM, &LOOKUP];
