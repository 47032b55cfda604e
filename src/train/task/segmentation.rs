//! One class for each pixel.

use super::classification::{CONFUSION, ClassWeights};
use super::{Better, Counted, Objective, Task};
use crate::data::{Dataset, Targets};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::CrossEntropyLoss;
use crate::shape::Type;
use crate::train::confusion::Confusion;
use crate::train::observer::Scalar;

/// One class for each pixel: logits f32 `[rows, classes, height, width]` and masks, cross-entropy
/// over all pixels. Pixels of the class [`Targets::IGNORED`] count nowhere.
///
/// It tells `loss`, `accuracy` (the share of pixels that are right), `mean_iou`, the `iou.CLASS` of
/// each class, and a [`Confusion`] of pixels; in training the loss alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    smoothing: f32,
    weights: ClassWeights,
}

impl Default for Segmentation {
    fn default() -> Self {
        Self::new()
    }
}

impl Segmentation {
    /// Without smoothing; all classes weigh alike.
    pub fn new() -> Self {
        Self {
            smoothing: 0.0,
            weights: ClassWeights::Even,
        }
    }

    /// Spreads this share of each target evenly over all classes.
    pub fn label_smoothing(mut self, share: f32) -> Self {
        self.smoothing = share;
        self
    }

    /// A factor for each class on the losses of its pixels in training.
    pub fn class_weights(mut self, weights: impl Into<Vec<f32>>) -> Self {
        self.weights = ClassWeights::Given(weights.into());
        self
    }

    /// Weighs classes so that each counts as much as the others in all: by pixels / (classes *
    /// pixels of the class), of the training set.
    pub fn balanced(mut self) -> Self {
        self.weights = ClassWeights::Balanced;
        self
    }
}

impl Task for Segmentation {
    fn expect(&self, set: &Dataset) -> Result<()> {
        set.expect_masks()?;
        let pixels = (set.count as u64).saturating_mul((set.height * set.width) as u64);
        if pixels > u64::from(u32::MAX) {
            return Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "segmentation: {pixels} pixels are more than {} that are counted",
                    u32::MAX
                ),
            ));
        }
        self.weights.check(set)
    }

    fn measure(&self, cx: &mut Objective<'_>) -> Result<()> {
        let (logits, masks, valid) = (cx.outputs(), cx.targets(), cx.valid());
        let (rows, classes, training) = (cx.rows(), cx.classes(), cx.training());
        let size = cx.graph().shape(masks)?[1..].to_vec();
        let wanted = Type::f32([[rows, classes].to_vec(), size].concat());
        let found = cx.graph().ty(logits)?.clone();
        if found != wanted {
            return Err(Error::shape(format!(
                "segmentation: the model makes {found} of {rows} images, {wanted} is needed for \
                 {classes} classes"
            )));
        }
        let mut options = CrossEntropyLoss::new().valid(valid);
        options = options.ignore_index(u32::from(Targets::IGNORED));
        if training {
            options = options.label_smoothing(self.smoothing);
            options.weight = self.weights.value(cx)?;
        }
        let loss = cx.graph().cross_entropy_with(logits, masks, options)?;
        let mut without = if training {
            self.weights.zeros()
        } else {
            Vec::new()
        };
        without.push(u32::from(Targets::IGNORED));
        let loss = cx.zero_without_labels(loss, &without)?;
        cx.loss("loss", loss, 1.0)?;
        if training {
            return Ok(());
        }
        cx.count(CONFUSION, Type::u32([classes, classes]), |g, old| {
            let answers = g.argmax(logits, 1, false)?;
            g.confusion_matrix(answers, masks, valid, old)
        })
    }

    fn metrics(&self, counted: &Counted) -> Result<Vec<Scalar>> {
        let Some(confusion) = self.confusion(counted)? else {
            return Ok(Vec::new());
        };
        let mut metrics = vec![
            Scalar::new("accuracy", confusion.accuracy()),
            Scalar::new("mean_iou", confusion.mean_iou()),
        ];
        for (class, name) in confusion.names().iter().enumerate() {
            metrics.push(Scalar::new(format!("iou.{name}"), confusion.iou(class)));
        }
        Ok(metrics)
    }

    fn confusion(&self, counted: &Counted) -> Result<Option<Confusion>> {
        let found = counted.find(CONFUSION);
        found
            .map(|counts| Confusion::of(counts, counted))
            .transpose()
    }

    fn monitor(&self) -> (&'static str, Better) {
        ("mean_iou", Better::Higher)
    }

    fn describe(&self) -> String {
        format!("segmentation{}", self.weights.told(self.smoothing))
    }
}
