//! Lowering of cross-entropy: losses and their sums, the gradient, and both of rows with so many
//! classes that their sums are made in pieces.

use crate::error::Result;
use crate::kernel::{
    AROUND, Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, Rows, looped, overlaps,
    source, turns_within,
};
use crate::shape::{DType, Type};

use crate::lowering::fill::lower_fill;
use crate::lowering::reduction::lower_sum;
use crate::lowering::rows::{Loops, by_rows, kept, lower_row_sums, whole};
use crate::lowering::{Cut, quads};
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::ops::loss::pointwise::Reduction;
use crate::ops::loss::softmax::lower_elements;
use crate::ops::reduce::lower_ratio;
use crate::shape::around;

/// Most sums of a run of rows: enough invocations, or workgroups where the classes are many, to
/// fill a device.
const MOST_CHUNKS: usize = 65_536;

/// What one dispatch for each run of rows, and each window of columns, reads.
struct LossPass {
    kernel: &'static Kernel,
    form: ShareForm,
    loops: Loops,
    lanes: usize,
    /// First and end of each run of columns.
    windows: Vec<[usize; 2]>,
    /// What is read in place of each part of the logits.
    instead: Option<Vec<Operand>>,
}

impl LossPass {
    /// Turns of an invocation for one row.
    fn turns(&self) -> u64 {
        let widths = self.windows.iter().map(|[from, to]| to - from);
        self.loops.turns(widths.max().unwrap_or(0), self.lanes)
    }

    /// Binds part `part` of the logits.
    fn logits(&self, dispatch: Dispatch, part: usize) -> Dispatch {
        match &self.instead {
            Some(parts) => dispatch.read(parts[part]),
            None => dispatch.read(Operand::Input(0)).part(part),
        }
    }
}

/// Emits the losses and, if the op takes them, their sum or mean.
pub(in crate::ops) fn lower_losses(
    op: &CrossEntropy,
    io: &Io,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let target = &io.inputs[1];
    let [outer, columns, inner] = around(&io.inputs[0].shape, 1);
    let by_weights = op.divides_by_weights(target);
    let none = op.reduction == Reduction::None;
    let turns = caps.max_turns.saturating_sub(AROUND);
    let (kernel, form) = op.kernel(target, [&CROSS_ENTROPY, &SOFT_CROSS_ENTROPY]);
    let loops = op.loops(target);
    let pass = match loops.lanes(columns, inner, turns) {
        Some(lanes) => LossPass {
            kernel,
            form,
            loops,
            lanes,
            windows: vec![[0, columns]],
            instead: None,
        },
        None => {
            // What is left to do with logarithms of probabilities is short, or goes window by
            // window.
            let x = Cut::input(io, 0);
            let sums = lower_row_sums(op.op_name(), x, 1, caps, out)?;
            let logs = like_parts(x, out);
            lower_elements(x, 1, 1, sums, |part| (logs[part], 0), out);
            op.in_windows(target, turns, columns, logs)
        }
    };
    let mut parts = vec![&io.input_parts[0][..], &io.input_parts[1]];
    if none {
        parts.push(&io.output_parts[0]);
    }
    let runs = overlaps(&parts);
    // The losses of the positions or, to be summed again, of chunks of them: as many as fit one
    // binding, of whole quads, so that every batch size is summed by the same kernel; and so many
    // that no invocation takes too long.
    let fit = caps.max_binding as usize / 8 / runs.len().max(1);
    let most = MOST_CHUNKS.min(fit / 4 * 4).max(4);
    let rounds = turns_within(caps.max_turns, pass.turns());
    let chunks = |run: &Rows| match run.count * inner {
        rows if none => rows,
        rows => rows
            .min(most)
            .max(rows.div_ceil(rounds))
            .next_multiple_of(4),
    };
    let total = runs.iter().map(chunks).sum();
    let losses = match (none, by_weights) {
        (true, _) => Operand::Output(0),
        (false, false) => out.scratch(Type::f32([total])),
        (false, true) => out.scratch(Type::f32([2, total])),
    };
    let norms = if by_weights { total } else { 0 };
    op.lower_chunks(&pass, io, &runs, chunks, (losses, norms), out);
    let result = Operand::Output(0);
    match (none, by_weights) {
        (true, _) => Ok(()),
        (false, false) => lower_sum(losses, &[total].into(), &[0], 1.0, result, caps, out),
        (false, true) => {
            let sums = out.scratch(Type::f32([2]));
            lower_sum(losses, &[2, total].into(), &[1], 1.0, sums, caps, out)?;
            let rows = if inner == 0 { 0 } else { outer };
            out.push(
                Dispatch::new(&DIVIDE, DIVIDE_VARIANTS[0])
                    .read(sums)
                    .uniform(Operand::Input(3))
                    .write(result)
                    .write(Operand::Output(1))
                    .param("rows", rows)
                    .workgroups(1),
            );
            Ok(())
        }
    }
}

/// A scratch value as large as each part of an operand.
fn like_parts(x: Cut, out: &mut Lowering) -> Vec<Operand> {
    let parts = x.parts.iter();
    parts
        .map(|part| out.scratch(Type::f32([part.rows * x.row()])))
        .collect()
}

impl CrossEntropy {
    /// For messages.
    fn op_name(&self) -> &'static str {
        match self.logarithm {
            false => "cross_entropy",
            true => "nll_loss",
        }
    }

    /// The kernel of labels or of probabilities, and its form.
    fn kernel(
        &self,
        target: &Type,
        [labels, probabilities]: [&'static Kernel; 2],
    ) -> (&'static Kernel, ShareForm) {
        match (target.dtype, self.logarithm, self.label_smoothing == 0.0) {
            (DType::F32, _, _) => (probabilities, SMOOTHED),
            (_, true, _) => (labels, LOGARITHM),
            (_, false, true) => (labels, PLAIN),
            (_, false, false) => (labels, SMOOTHED),
        }
    }

    /// What a row takes: the two sums of a softmax, and one over the shares where all classes have
    /// one.
    fn loops(&self, target: &Type) -> Loops {
        let softmax = if self.logarithm { 0 } else { 2 };
        let every = u64::from(target.dtype == DType::F32 || self.label_smoothing != 0.0);
        Loops {
            columns: softmax + every,
            combined: softmax + every,
        }
    }

    /// The pass over logarithms of probabilities, in windows of columns where all classes have a
    /// share.
    fn in_windows(
        &self,
        target: &Type,
        turns: u64,
        columns: usize,
        logs: Vec<Operand>,
    ) -> LossPass {
        let (kernel, form) = self.kernel(target, [&CROSS_ENTROPY, &SOFT_CROSS_ENTROPY]);
        let every = form == SMOOTHED;
        let loops = Loops {
            columns: every.into(),
            combined: every.into(),
        };
        LossPass {
            kernel,
            form: if every { SMOOTHED_LOGARITHM } else { LOGARITHM },
            loops,
            lanes: 64,
            windows: match every {
                true => loops.windows(columns, turns).collect(),
                false => vec![[0, columns]],
            },
            instead: Some(logs),
        }
    }

    /// Emits sums of losses of so many chunks of each run, or each loss where there are as many as
    /// rows; with a second number of what they go to also those of the weights, so far behind.
    fn lower_chunks(
        &self,
        pass: &LossPass,
        io: &Io,
        runs: &[Rows],
        chunks: impl Fn(&Rows) -> usize,
        (losses, norms): (Operand, usize),
        out: &mut Lowering,
    ) {
        let target = &io.inputs[1];
        let [_, columns, inner] = around(&io.inputs[0].shape, 1);
        let (mut first, mut at) = (0, 0);
        for run in runs {
            let (rows, chunks) = (run.count * inner, chunks(run));
            for &[from, to] in &pass.windows {
                let dispatch = by_rows(pass.kernel, &pass.form, chunks, pass.lanes);
                let dispatch = pass
                    .logits(dispatch, run.part[0])
                    .read(Operand::Input(1))
                    .part(run.part[1])
                    .read(Operand::Input(2))
                    .uniform(Operand::Input(3))
                    .write(losses)
                    .part(run.part.get(2).copied().unwrap_or(0))
                    .param("rows", rows)
                    .param("chunks", chunks)
                    .param("first", first)
                    // An output in parts is counted from the part's start.
                    .param("at", run.first.get(2).map_or(at, |first| first * inner));
                let dispatch = self
                    .extents(dispatch, io, run)
                    .param("begin", from)
                    .param("until", to)
                    .param("norms", norms);
                let row = pass.loops.turns(to - from, pass.lanes);
                let rounds = rows.div_ceil(chunks.max(1));
                let dispatch = dispatch.turns(looped(rounds, row));
                out.push(self.constants(dispatch, target, columns));
            }
            first += rows;
            at += chunks;
        }
    }

    /// Appends extents and where the rows of `run` lie in the logits and the target.
    fn extents(&self, dispatch: Dispatch, io: &Io, run: &Rows) -> Dispatch {
        let [outer, columns, inner] = around(&io.inputs[0].shape, 1);
        dispatch
            .param("columns", columns)
            .param("inner", inner)
            .param("outer", outer)
            .param("logits_base", run.first[0] * io.inputs[0].row())
            .param("target_base", run.first[1] * io.inputs[1].row())
    }

    /// Appends what is fixed when the op is built.
    fn constants(&self, dispatch: Dispatch, target: &Type, columns: usize) -> Dispatch {
        let mean = self.reduction == Reduction::Mean && !self.divides_by_weights(target);
        let smoothing = f64::from(self.label_smoothing);
        dispatch
            .param("mean", mean.into())
            .param("ignores", self.ignore_index.is_some().into())
            .param("ignore_index", self.ignore_index.unwrap_or(0) as usize)
            .param_f32("keep", (1.0 - smoothing) as f32)
            .param_f32("even", (smoothing / columns as f64) as f32)
            .param_f32("nan", f32::NAN)
    }

    /// Emits softmax(logits) times the sum of each row's shares, each part of the logits in a
    /// scratch value.
    fn lower_scaled_softmax(
        &self,
        io: &Io,
        caps: &Caps,
        out: &mut Lowering,
    ) -> Result<Vec<Operand>> {
        let (x, target) = (Cut::input(io, 0), &io.inputs[1]);
        let scaled = like_parts(x, out);
        // The sum of the shares is the loss of logarithms that are all -1.
        for (&operand, part) in scaled.iter().zip(x.parts) {
            let shape = [part.rows * x.row()].into();
            let cut = Cut {
                operand,
                shape: &shape,
                parts: &whole(&shape),
            };
            lower_fill(cut, -1.0, out);
        }
        let turns = caps.max_turns.saturating_sub(AROUND);
        let pass = self.in_windows(target, turns, x.shape[1], scaled);
        let each = CrossEntropy {
            reduction: Reduction::None,
            ..*self
        };
        let rows = Type::f32(kept(x.shape, 1));
        let totals = out.scratch(rows.clone());
        let inner = around(x.shape, 1)[2];
        let runs = overlaps(&[&io.input_parts[0], &io.input_parts[1]]);
        let chunks = |run: &Rows| run.count * inner;
        each.lower_chunks(&pass, io, &runs, chunks, (totals, 0), out);
        let [top, sum] = lower_row_sums(self.op_name(), x, 1, caps, out)?;
        let factor = out.scratch(rows.clone());
        let all = quads(&rows, rows.shape.rows());
        lower_ratio(1.0, [totals, sum, factor], 0, all, out);
        let scaled = pass.instead.unwrap_or_default();
        lower_elements(x, 1, 2, [top, factor], |part| (scaled[part], 0), out);
        Ok(scaled)
    }
}

/// Emits the gradient of the logits.
pub(in crate::ops) fn lower_gradient(
    op: &CrossEntropy,
    io: &Io,
    caps: &Caps,
    out: &mut Lowering,
) -> Result<()> {
    let target = &io.inputs[1];
    let [_, columns, inner] = around(&io.inputs[0].shape, 1);
    let (kernel, form) = op.kernel(target, [&CROSS_ENTROPY_GRAD, &SOFT_CROSS_ENTROPY_GRAD]);
    // As forward, and the elements.
    let Loops {
        columns: sums,
        combined,
    } = op.loops(target);
    let loops = Loops {
        columns: sums + 1,
        combined,
    };
    let lanes = loops.lanes(columns, inner, caps.max_turns);
    let elements = Loops {
        columns: 1,
        combined: 0,
    };
    let pass = match lanes {
        Some(lanes) => LossPass {
            kernel,
            form,
            loops,
            lanes,
            windows: vec![[0, columns]],
            instead: None,
        },
        None => LossPass {
            kernel,
            form: match form {
                PLAIN => GIVEN,
                SMOOTHED => SMOOTHED_GIVEN,
                other => other,
            },
            loops: elements,
            lanes: 64,
            windows: elements.windows(columns, caps.max_turns).collect(),
            instead: match op.logarithm {
                false => Some(op.lower_scaled_softmax(io, caps, out)?),
                true => None,
            },
        },
    };
    let mut first = 0;
    for run in overlaps(&[&io.input_parts[0], &io.input_parts[1]]) {
        let rows = run.count * inner;
        for &[from, to] in &pass.windows {
            let dispatch = by_rows(pass.kernel, &pass.form, rows, pass.lanes);
            let dispatch = pass
                .logits(dispatch, run.part[0])
                .read(Operand::Input(1))
                .part(run.part[1])
                .read(Operand::Input(2))
                .uniform(Operand::Input(3))
                .uniform(Operand::Input(4))
                .write(Operand::Output(0))
                .part(run.part[0])
                .param("rows", rows)
                .param("first", first);
            let dispatch = op
                .extents(dispatch, io, &run)
                .param("begin", from)
                .param("until", to)
                .turns(pass.loops.turns(to - from, pass.lanes));
            out.push(op.constants(dispatch, target, columns));
        }
        first += rows;
    }
    Ok(())
}

/// Values of the overrides `logarithm` and `every`.
type ShareForm = [(&'static str, usize); 2];

const PLAIN: ShareForm = [("logarithm", 0), ("every", 0)];
const SMOOTHED: ShareForm = [("logarithm", 0), ("every", 1)];
const LOGARITHM: ShareForm = [("logarithm", 1), ("every", 0)];
/// Of logarithms, which all have a share.
const SMOOTHED_LOGARITHM: ShareForm = [("logarithm", 1), ("every", 1)];
/// Of products of softmax and share.
const GIVEN: ShareForm = [("logarithm", 2), ("every", 0)];
const SMOOTHED_GIVEN: ShareForm = [("logarithm", 2), ("every", 1)];

/// A form, each row with as many invocations.
const fn rows_of(lanes: u32, form: ShareForm) -> [(&'static str, u32); 4] {
    let [(logarithm, a), (every, b)] = form;
    [
        ("lanes", lanes),
        (logarithm, a as u32),
        (every, b as u32),
        ("workgroup_size", 64),
    ]
}

const LABELS: &[Overrides] = &[
    &rows_of(1, PLAIN),
    &rows_of(1, SMOOTHED),
    &rows_of(1, LOGARITHM),
    &rows_of(64, PLAIN),
    &rows_of(64, SMOOTHED),
    &rows_of(64, LOGARITHM),
    &rows_of(64, SMOOTHED_LOGARITHM),
];
const PROBABILITIES: &[Overrides] = &[
    &rows_of(1, SMOOTHED),
    &rows_of(64, SMOOTHED),
    &rows_of(64, SMOOTHED_LOGARITHM),
];
const LABELS_GRAD: &[Overrides] = &[
    &rows_of(1, PLAIN),
    &rows_of(1, SMOOTHED),
    &rows_of(1, LOGARITHM),
    &rows_of(64, PLAIN),
    &rows_of(64, SMOOTHED),
    &rows_of(64, LOGARITHM),
    &rows_of(64, GIVEN),
    &rows_of(64, SMOOTHED_GIVEN),
];
const PROBABILITIES_GRAD: &[Overrides] = &[
    &rows_of(1, SMOOTHED),
    &rows_of(64, SMOOTHED),
    &rows_of(64, SMOOTHED_GIVEN),
];
const DIVIDE_VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static CROSS_ENTROPY: Kernel = Kernel::new(
    "cross_entropy",
    &[
        source!("loss/cross_entropy"),
        source!("loss/target_labels"),
        source!("lib/row_softmax"),
        source!("lib/elements"),
        source!("lib/rows"),
        source!("lib/special"),
    ],
    LABELS,
);
static SOFT_CROSS_ENTROPY: Kernel = Kernel::new(
    "soft_cross_entropy",
    &[
        source!("loss/cross_entropy"),
        source!("loss/target_probabilities"),
        source!("lib/row_softmax"),
        source!("lib/elements"),
        source!("lib/rows"),
        source!("lib/special"),
    ],
    PROBABILITIES,
);
static CROSS_ENTROPY_GRAD: Kernel = Kernel::new(
    "cross_entropy_grad",
    &[
        source!("loss/cross_entropy_grad"),
        source!("loss/target_labels"),
        source!("lib/row_softmax"),
        source!("lib/elements"),
        source!("lib/rows"),
    ],
    LABELS_GRAD,
);
static SOFT_CROSS_ENTROPY_GRAD: Kernel = Kernel::new(
    "soft_cross_entropy_grad",
    &[
        source!("loss/cross_entropy_grad"),
        source!("loss/target_probabilities"),
        source!("lib/row_softmax"),
        source!("lib/elements"),
        source!("lib/rows"),
    ],
    PROBABILITIES_GRAD,
);
static DIVIDE: Kernel = Kernel::new(
    "weighted_mean",
    &[source!("loss/weighted_mean")],
    DIVIDE_VARIANTS,
);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[
    &CROSS_ENTROPY,
    &SOFT_CROSS_ENTROPY,
    &CROSS_ENTROPY_GRAD,
    &SOFT_CROSS_ENTROPY_GRAD,
    &DIVIDE,
];
