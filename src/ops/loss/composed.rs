//! Losses that are made of other ops.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};

use crate::ops::loss::pointwise::{LossFunction, Reduction};
use crate::ops::{expect_f32, expect_type};

// Parameters and builder.

/// How [`Graph::triplet_margin_loss`] measures distances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripletMargin {
    /// By how much the negative must be farther.
    pub margin: f32,
    /// The norm: (sum |d|^p)^(1/p), of a p that is positive and finite.
    pub p: f32,
    /// Added to each difference, so that no distance is 0. With 0, elements that are equal have the
    /// gradient 0, whatever p is.
    pub eps: f32,
    /// Whether the distance of the negative from the positive counts where it is less.
    pub swap: bool,
}

impl Default for TripletMargin {
    /// PyTorch's: margin 1, Euclidean distances, eps 1e-6, no swap.
    fn default() -> Self {
        Self {
            margin: 1.0,
            p: 2.0,
            eps: 1e-6,
            swap: false,
        }
    }
}

/// # Losses of distributions, distances and masks
impl Graph {
    /// The Kullback-Leibler divergence of logarithms of probabilities `x` from `target`,
    /// probabilities or, with `log_target`, their logarithms, element by element: target *
    /// (log(target) - x), where 0 log(0) is 0. PyTorch's `batchmean` is the sum, scaled by one over
    /// the batch.
    ///
    /// The gradient of a target of 0 is -x, where PyTorch's is NaN.
    ///
    /// # Errors
    /// `Shape` unless both are `f32` of one shape.
    pub fn kl_div(
        &mut self,
        x: Value,
        target: Value,
        log_target: bool,
        reduction: Reduction,
    ) -> Result<Value> {
        self.expect_alike("kl_div", "x", x, [("target", target)])?;
        let each = match log_target {
            true => {
                let rest = self.sub(target, x)?;
                let share = self.exp(target)?;
                self.mul(share, rest)?
            }
            false => {
                let (zero, one) = (self.fill([], 0.0)?, self.fill([], 1.0)?);
                let none = self.eq(target, zero)?;
                let some = self.select(none, one, target)?;
                let log = self.log(some)?;
                let entropy = self.mul(some, log)?;
                let cross = self.mul(target, x)?;
                self.sub(entropy, cross)?
            }
        };
        self.reduce_loss(each, reduction)
    }

    /// max(d(anchor, positive) - d(anchor, negative) + margin, 0), with distances d(a, b) =
    /// (sum |a - b + eps|^p)^(1/p) along the last axis (Balntas et al. 2016).
    ///
    /// # Errors
    /// `Shape` unless the three are `f32` of one shape with an axis, and for a p that is not
    /// positive or is infinite: PyTorch takes the largest difference for an infinite one.
    pub fn triplet_margin_loss(
        &mut self,
        anchor: Value,
        positive: Value,
        negative: Value,
        settings: TripletMargin,
        reduction: Reduction,
    ) -> Result<Value> {
        let name = "triplet_margin_loss";
        let others = [("positive", positive), ("negative", negative)];
        self.expect_alike(name, "anchor", anchor, others)?;
        self.expect_axes(name, "anchor", anchor, 1)?;
        let TripletMargin {
            margin,
            p,
            eps,
            swap,
        } = settings;
        if !(p > 0.0 && p.is_finite()) {
            return Err(Error::shape(format!("{name}: there is no norm of p {p}")));
        }
        let near = self.pairwise_distance(anchor, positive, p, eps)?;
        let mut far = self.pairwise_distance(anchor, negative, p, eps)?;
        if swap {
            let other = self.pairwise_distance(positive, negative, p, eps)?;
            far = self.minimum(far, other)?;
        }
        let margin = self.fill([], margin)?;
        let less = self.sub(near, far)?;
        let short = self.add(less, margin)?;
        let each = self.relu(short)?;
        self.reduce_loss(each, reduction)
    }

    /// Of pairs of rows a and b `[n, ...]` with Euclidean distance d along the last axis: d^2 / 2
    /// where `label` is 0, for those that are alike, and max(margin - d, 0)^2 / 2 where it is 1
    /// (Hadsell, Chopra and LeCun 2006, equation 4). The label, `f32`, has the shape of the
    /// distances; between 0 and 1 it mixes both. The margin may be any number.
    ///
    /// # Errors
    /// `Shape` unless a and b are `f32` of one shape with an axis, and the label fits.
    pub fn contrastive_loss(
        &mut self,
        a: Value,
        b: Value,
        label: Value,
        margin: f32,
        reduction: Reduction,
    ) -> Result<Value> {
        let name = "contrastive_loss";
        self.expect_alike(name, "a", a, [("b", b)])?;
        self.expect_axes(name, "a", a, 1)?;
        let difference = self.sub(a, b)?;
        let squares = self.square(difference)?;
        let square = self.sum(squares, &[-1], false)?;
        let distance = self.norm(difference, &[-1], false)?;
        self.expect_alike(name, "the distance", distance, [("label", label)])?;
        let (one, margin) = (self.fill([], 1.0)?, self.fill([], margin)?);
        let short = self.sub(margin, distance)?;
        let short = self.relu(short)?;
        let apart = self.square(short)?;
        let unlike = self.mul(label, apart)?;
        let rest = self.sub(one, label)?;
        let alike = self.mul(rest, square)?;
        let both = self.add(alike, unlike)?;
        let each = self.scale(both, 0.5)?;
        self.reduce_loss(each, reduction)
    }

    /// 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth) of probabilities p and masks t
    /// `[n, c, ...]`, summed over all axes behind the first two (Sudre et al. 2017, without their
    /// weights): one loss for each image and class, `[n, c]`, before the reduction. With `smooth` 0
    /// that of an empty mask and no probabilities is NaN.
    ///
    /// # Errors
    /// `Shape` unless both are `f32` of one shape with three axes.
    pub fn dice_loss(
        &mut self,
        probabilities: Value,
        target: Value,
        smooth: f32,
        reduction: Reduction,
    ) -> Result<Value> {
        let (name, p) = ("dice_loss", probabilities);
        self.expect_alike(name, "probabilities", p, [("target", target)])?;
        self.expect_axes(name, "probabilities", p, 3)?;
        let axes: Vec<usize> = (2..self.shape(p)?.len()).collect();
        let (one, smooth) = (self.fill([], 1.0)?, self.fill([], smooth)?);
        let common = self.mul(p, target)?;
        let common = self.sum(common, &axes, false)?;
        let twice = self.scale(common, 2.0)?;
        let over = self.add(twice, smooth)?;
        let all = self.add(p, target)?;
        let all = self.sum(all, &axes, false)?;
        let under = self.add(all, smooth)?;
        let overlap = self.div(over, under)?;
        let each = self.sub(one, overlap)?;
        self.reduce_loss(each, reduction)
    }

    /// The binary cross-entropy of sigmoid(x) and `target`, times (1 - p_t)^gamma, p_t being the
    /// probability of the right answer, and times alpha for positives, 1 - alpha for negatives if
    /// there is an alpha (Lin et al. 2017): torchvision's `sigmoid_focal_loss`, which has alpha
    /// 0.25 and gamma 2 by default and takes a negative alpha for none.
    ///
    /// # Errors
    /// `Shape` unless both are `f32` of one shape, and for an alpha that is not from 0 to 1.
    pub fn sigmoid_focal_loss(
        &mut self,
        x: Value,
        target: Value,
        alpha: Option<f32>,
        gamma: f32,
        reduction: Reduction,
    ) -> Result<Value> {
        let name = "sigmoid_focal_loss";
        self.expect_alike(name, "x", x, [("target", target)])?;
        if let Some(alpha) = alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            return Err(Error::shape(format!(
                "{name}: the alpha {alpha} does not lie between 0 and 1"
            )));
        }
        let entropy = LossFunction::BceWithLogits;
        let entropy = self.pointwise_loss(x, target, entropy, Reduction::None)?;
        // 1 - p_t without a difference of numbers near 1.
        let one = self.fill([], 1.0)?;
        let minus = self.neg(x)?;
        let (yes, no) = (self.sigmoid(x)?, self.sigmoid(minus)?);
        let rest = self.sub(one, target)?;
        let false_yes = self.mul(yes, rest)?;
        let false_no = self.mul(no, target)?;
        let wrong = self.add(false_yes, false_no)?;
        let factor = self.pow(wrong, gamma)?;
        let mut each = self.mul(entropy, factor)?;
        if let Some(alpha) = alpha {
            let alpha = f64::from(alpha);
            let slope = self.scale(target, 2.0 * alpha - 1.0)?;
            let start = self.fill([], (1.0 - alpha) as f32)?;
            let weight = self.add(slope, start)?;
            each = self.mul(each, weight)?;
        }
        self.reduce_loss(each, reduction)
    }

    /// (sum |a - b + eps|^p)^(1/p) along the last axis.
    fn pairwise_distance(&mut self, a: Value, b: Value, p: f32, eps: f32) -> Result<Value> {
        let eps = self.fill([], eps)?;
        let difference = self.sub(a, b)?;
        let difference = self.add(difference, eps)?;
        if p == 2.0 {
            return self.norm(difference, &[-1], false);
        }
        let sizes = self.abs(difference)?;
        let powers = self.pow(sizes, p)?;
        let sum = self.sum(powers, &[-1], false)?;
        self.pow(sum, 1.0 / p)
    }
}

// Shape rule.

impl Graph {
    /// Fails unless the others have the type of the first operand, which is `f32`.
    fn expect_alike<const N: usize>(
        &self,
        op: &str,
        name: &str,
        first: Value,
        others: [(&str, Value); N],
    ) -> Result<()> {
        let wanted = self.operand(op, first)?;
        expect_f32(op, name, wanted)?;
        for (name, other) in others {
            expect_type(op, name, self.operand(op, other)?, wanted)?;
        }
        Ok(())
    }

    fn expect_axes(&self, op: &str, name: &str, value: Value, least: usize) -> Result<()> {
        let shape = self.shape(value)?;
        if shape.len() >= least {
            return Ok(());
        }
        Err(Error::shape(format!(
            "{op}: {name} {shape} has fewer axes than {least}"
        )))
    }
}
