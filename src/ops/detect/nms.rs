//! Boxes of which those that overlap better ones are left out.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{
    Caps, Dispatch, Io, Kernel, Lowering, Operand, Overrides, looped, source, turns_within,
};
use crate::ops::{expect_inputs, expect_type, in_order};
use crate::shape::Type;
use crate::tensor::Array;

// Parameters and builder.

/// Non-maximum suppression of boxes `[n, 4]` by scores `[n]`: `u32` indices `[most]` of the boxes
/// that stay, and how many these are, `u32` `[1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nms {
    /// Boxes whose intersection over union with a better one is above this go.
    pub iou_threshold: f32,
    /// How many stay at most.
    pub most: usize,
}

/// # Boxes
impl Graph {
    /// Non-maximum suppression, torchvision's `nms`: of boxes `[n, 4]`, each x1, y1, x2, y2 with x1
    /// <= x2 and y1 <= y2, in the order of their scores `[n]`, the greatest first, those stay whose
    /// intersection over union with each that stays before them is at most `iou_threshold`, from 0
    /// to 1. Of equal scores the first comes first, a score that is NaN counts as larger than all;
    /// a box that holds NaN overlaps nothing.
    ///
    /// Returns the indices of the first `most` that stay in that order, `u32 [most]`, and how many
    /// these are, `u32 [1]`. Places beyond that hold n. [`Graph::gather_rows`] takes both, the
    /// indices and the count as `valid`: rows of the boxes that stay, and zeros beyond them.
    ///
    /// All pairs of boxes are compared: it takes n times n comparisons, and a bit of memory for
    /// each. One workgroup then decides, over 32 boxes after the other.
    ///
    /// # Errors
    /// `Unsupported` for more than 16,384 boxes.
    pub fn nms(
        &mut self,
        boxes: Value,
        scores: Value,
        iou_threshold: f32,
        most: usize,
    ) -> Result<(Value, Value)> {
        let op = Nms {
            iou_threshold,
            most,
        };
        let outputs = self.apply(op, &[boxes, scores])?;
        Ok((outputs[0], outputs[1]))
    }
}

// Shape rule.

/// More boxes have too many pairs. All of these take a hundredth of what one dispatch may do
/// (`GPU_MULTIPLY_ADDS`), so that nothing here is cut by its work.
const MOST_BOXES: usize = 16_384;

impl Op for Nms {
    fn name(&self) -> &'static str {
        "nms"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        expect_inputs(self.name(), inputs, 2)?;
        let n = inputs[0].shape.rows();
        expect_type(self.name(), "boxes", inputs[0], &Type::f32([n, 4]))?;
        expect_type(self.name(), "scores", inputs[1], &Type::f32([n]))?;
        if !(0.0..=1.0).contains(&self.iou_threshold) {
            return Err(Error::shape(format!(
                "nms: the threshold {} does not lie between 0 and 1",
                self.iou_threshold
            )));
        }
        if n > MOST_BOXES {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("nms: {n} boxes, {MOST_BOXES} are the most"),
            ));
        }
        Ok(vec![Type::u32([self.most]), Type::u32([1])])
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (boxes, scores) = (inputs[0].floats(), inputs[1].floats());
        let n = scores.len();
        let mut order: Vec<usize> = (0..n).collect();
        // Equal ones stay in order.
        order.sort_by(|&a, &b| in_order(scores[b], scores[a]));
        let corners = |i: usize| std::array::from_fn(|c| boxes[4 * i + c]);
        let mut kept: Vec<usize> = Vec::new();
        for i in order {
            let overlaps = |&other: &usize| self.overlap(corners(other), corners(i));
            if !kept.iter().any(overlaps) {
                kept.push(i);
            }
        }
        kept.truncate(self.most);
        let mut indices = vec![n as u32; self.most];
        for (index, &i) in indices.iter_mut().zip(&kept) {
            *index = i as u32;
        }
        let count = Array::u32([1], vec![kept.len() as u32]);
        vec![Array::u32([self.most], indices), count]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, _: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; 2])
    }

    // Lowering.

    /// The order of the boxes by their ranks; a bit for each pair that overlaps; the boxes that go,
    /// 32 at a time, each ruling out those behind it; and the indices of the others.
    fn lower(&self, io: &Io, caps: &Caps, out: &mut Lowering) -> Result<()> {
        io.whole(self.name())?;
        let [boxes, scores] = [0, 1].map(Operand::Input);
        let n = io.inputs[1].count();
        let words = n.div_ceil(32);
        let order = out.scratch(Type::u32([n.max(1)]));
        let pairs = out.scratch(Type::u32([n.max(1), words.max(1)]));
        let gone = out.scratch(Type::u32([words.max(1)]));
        out.push(
            Dispatch::new(&RANK, VARIANTS[0])
                .read(scores)
                .write(order)
                .param("count", n)
                .turns(looped(n, 0))
                .workgroups(n.div_ceil(WORKGROUP)),
        );
        out.push(
            Dispatch::new(&PAIRS, VARIANTS[0])
                .read(boxes)
                .read(order)
                .write(pairs)
                .param("count", n * words)
                .param("boxes", n)
                .param("words", words)
                .param_f32("threshold", self.iou_threshold)
                .turns(looped(32, 0))
                .workgroups((n * words).div_ceil(WORKGROUP)),
        );
        let own = words.div_ceil(WORKGROUP);
        let start = looped(own, 0);
        let inner = looped(32, 0) + looped(own, looped(32, 0));
        let step = turns_within(caps.max_turns.saturating_sub(start), inner);
        for from in (0..words).step_by(step) {
            let to = words.min(from + step);
            out.push(
                Dispatch::new(&SELECT, VARIANTS[0])
                    .read(pairs)
                    .write(gone)
                    .param("boxes", n)
                    .param("words", words)
                    .param("begin", from)
                    .param("until", to)
                    .turns(start + looped(to - from, inner))
                    .workgroups(1),
            );
        }
        let count = n.max(self.most).max(1);
        out.push(
            Dispatch::new(&WRITE, VARIANTS[0])
                .read(order)
                .read(gone)
                .write(Operand::Output(0))
                .write(Operand::Output(1))
                .param("count", count)
                .param("boxes", n)
                .param("words", words)
                .param("most", self.most)
                .turns(looped(words, 0))
                .workgroups(count.div_ceil(WORKGROUP)),
        );
        Ok(())
    }
}

impl Nms {
    /// Whether the intersection of two boxes over their union is above the threshold.
    fn overlap(&self, a: [f64; 4], b: [f64; 4]) -> bool {
        if a.iter().chain(&b).any(|x| x.is_nan()) {
            return false;
        }
        let side = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
        let area = |x: [f64; 4]| (x[2] - x[0]) * (x[3] - x[1]);
        let common = side(0, 2) * side(1, 3);
        let all = area(a) + area(b) - common;
        all > 0.0 && common > f64::from(self.iou_threshold) * all
    }
}

const WORKGROUP: usize = 64;
const VARIANTS: &[Overrides] = &[&[("workgroup_size", 64)]];

static RANK: Kernel = Kernel::new("nms_rank", &[source!("detect/nms_rank")], VARIANTS);
static PAIRS: Kernel = Kernel::new("nms_pairs", &[source!("detect/nms_pairs")], VARIANTS);
static SELECT: Kernel = Kernel::new("nms_select", &[source!("detect/nms_select")], VARIANTS);
static WRITE: Kernel = Kernel::new("nms_write", &[source!("detect/nms_write")], VARIANTS);

pub(in crate::ops) const KERNELS: &[&Kernel] = &[&RANK, &PAIRS, &SELECT, &WRITE];
