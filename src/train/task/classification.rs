//! One class for each image.

use super::{Better, Counted, Objective, Task};
use crate::data::{Dataset, balanced};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Value};
use crate::ops::CrossEntropyLoss;
use crate::shape::{DType, Type};
use crate::tensor::Tensor;
use crate::train::confusion::Confusion;
use crate::train::observer::Scalar;

/// Images that are right, and all.
const COUNTS: &str = "counts";
/// Images whose class is among the five with the largest logits.
const TOP5: &str = "top5";
/// Images by class and by answer.
pub(super) const CONFUSION: &str = "confusion";

/// The share of images whose class is among so many of the largest logits is told where there are
/// more classes than that.
const TOP: usize = 5;

/// So many class weights are told.
const MOST_WEIGHTS: usize = 10;

/// What the classes weigh in a loss.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ClassWeights {
    Even,
    Balanced,
    Given(Vec<f32>),
}

impl ClassWeights {
    /// Checks those that are given.
    ///
    /// # Errors
    /// `Data` for more or fewer of them than classes, and for one that is no number of at least 0.
    pub fn check(&self, set: &Dataset) -> Result<()> {
        let ClassWeights::Given(weights) = self else {
            return Ok(());
        };
        let wrong = |message: String| Err(Error::new(ErrorKind::Data, message));
        if weights.len() != set.classes {
            let (given, classes) = (weights.len(), set.classes);
            return wrong(format!("{given} class weights for {classes} classes"));
        }
        match weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            Some(class) => wrong(format!(
                "the weight {} of class {class} is not a number of at least 0",
                weights[class]
            )),
            None => Ok(()),
        }
    }

    /// For people, behind the name of a task: label smoothing and the weights, unless all weigh
    /// alike.
    pub fn told(&self, smoothing: f32) -> String {
        let mut text = match smoothing == 0.0 {
            true => String::new(),
            false => format!(", label smoothing {smoothing}"),
        };
        match self {
            ClassWeights::Even => {}
            ClassWeights::Balanced => text.push_str(", balanced classes"),
            ClassWeights::Given(weights) => {
                let (shown, more) = weights.split_at(weights.len().min(MOST_WEIGHTS));
                let shown: Vec<String> = shown.iter().map(f32::to_string).collect();
                text.push_str(&format!(", class weights {}", shown.join(", ")));
                if !more.is_empty() {
                    text.push_str(&format!(" and {} more", more.len()));
                }
            }
        }
        text
    }

    /// Classes whose labels weigh nothing.
    pub fn zeros(&self) -> Vec<u32> {
        match self {
            ClassWeights::Given(weights) => {
                let zeros = (0..).zip(weights).filter(|(_, weight)| **weight == 0.0);
                zeros.map(|(class, _)| class).collect()
            }
            ClassWeights::Even | ClassWeights::Balanced => Vec::new(),
        }
    }

    /// As a value of a graph; `None` where all classes weigh alike.
    pub fn value(&self, cx: &mut Objective<'_>) -> Result<Option<Value>> {
        let weights = match self {
            ClassWeights::Even => return Ok(None),
            ClassWeights::Balanced => {
                let missing = cx.class_counts().iter().position(|&count| count == 0);
                if let (true, Some(class)) = (cx.sampled(), missing) {
                    return Err(Error::new(
                        ErrorKind::Data,
                        format!(
                            "class {class} is not among the images that stand for the streamed \
                             ones: its weight cannot be balanced"
                        ),
                    ));
                }
                balanced(cx.class_counts())
            }
            ClassWeights::Given(weights) => weights.clone(),
        };
        let weights = Tensor::f32([weights.len()], weights)?;
        cx.graph().constant(weights).map(Some)
    }
}

/// One class for each image: logits f32 `[rows, classes]`, cross-entropy, and the losses of
/// auxiliary classifiers by their weights.
///
/// It tells `loss`, `accuracy`, in evaluation also `top5` where there are more than five classes,
/// and a [`Confusion`]. Losses of evaluation are those without smoothing and class weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    smoothing: f32,
    weights: ClassWeights,
    /// Whether evaluation counts nothing but right answers.
    plain: bool,
}

impl Default for Classification {
    fn default() -> Self {
        Self::new()
    }
}

impl Classification {
    /// Without smoothing; all classes weigh alike.
    pub fn new() -> Self {
        Self {
            smoothing: 0.0,
            weights: ClassWeights::Even,
            plain: false,
        }
    }

    /// Counts nothing in evaluation but right answers.
    pub(in crate::train) fn plain() -> Self {
        Self {
            plain: true,
            ..Self::new()
        }
    }

    /// Spreads this share of each target evenly over all classes.
    pub fn label_smoothing(mut self, share: f32) -> Self {
        self.smoothing = share;
        self
    }

    /// A factor for each class on the losses of its images in training.
    pub fn class_weights(mut self, weights: impl Into<Vec<f32>>) -> Self {
        self.weights = ClassWeights::Given(weights.into());
        self
    }

    /// Weighs classes so that each counts as much as the others in all: by images / (classes *
    /// images of the class), of the training set.
    pub fn balanced(mut self) -> Self {
        self.weights = ClassWeights::Balanced;
        self
    }

    /// Checks that a network's outputs are logits of the classes.
    fn expect_logits(g: &Graph, logits: Value, rows: usize, classes: usize) -> Result<()> {
        let (found, wanted) = (g.ty(logits)?, Type::f32([rows, classes]));
        if found == &wanted {
            return Ok(());
        }
        Err(Error::shape(format!(
            "classifier: the model makes {found} of {rows} images, {wanted} is needed for \
             {classes} classes"
        )))
    }
}

impl Task for Classification {
    fn expect(&self, set: &Dataset) -> Result<()> {
        set.expect_labels()?;
        self.weights.check(set)
    }

    fn measure(&self, cx: &mut Objective<'_>) -> Result<()> {
        let (logits, labels, valid) = (cx.outputs(), cx.targets(), cx.valid());
        let (rows, classes) = (cx.rows(), cx.classes());
        let compared = cx.shares().unwrap_or(labels);
        Self::expect_logits(cx.graph(), logits, rows, classes)?;
        let mut options = CrossEntropyLoss::new().valid(valid);
        if cx.training() {
            options = options.label_smoothing(self.smoothing);
            options.weight = self.weights.value(cx)?;
        }
        let without = match cx.training() {
            true => self.weights.zeros(),
            false => Vec::new(),
        };
        if cx.training() || !self.plain {
            let loss = cx.graph().cross_entropy_with(logits, compared, options)?;
            let loss = cx.zero_without_labels(loss, &without)?;
            cx.loss("loss", loss, 1.0)?;
        }
        for head in cx.heads().iter().filter(|head| head.weight != 0.0) {
            let named = |e: Error| e.context(&head.name);
            Self::expect_logits(cx.graph(), head.value, rows, classes).map_err(named)?;
            let own = cx
                .graph()
                .cross_entropy_with(head.value, compared, options)?;
            let own = cx.zero_without_labels(own, &without)?;
            cx.loss(&head.name, own, head.weight)?;
        }
        cx.count(COUNTS, Type::u32([2]), |g, old| {
            g.count_correct(logits, labels, valid, old)
        })?;
        if cx.training() || self.plain {
            return Ok(());
        }
        if classes > TOP {
            let right = among_largest(cx, logits, labels)?;
            cx.sum(TOP5, right)?;
        }
        cx.count(CONFUSION, Type::u32([classes, classes]), |g, old| {
            let answers = g.argmax(logits, 1, false)?;
            g.confusion_matrix(answers, labels, valid, old)
        })
    }

    fn metrics(&self, counted: &Counted) -> Result<Vec<Scalar>> {
        let mut metrics = Vec::new();
        if let &[right, all] = counted.tensor(COUNTS)?.as_u32()? {
            let accuracy = f64::from(right) / f64::from(all.max(1));
            metrics.push(Scalar::new("accuracy", accuracy));
        }
        if counted.find(TOP5).is_some() {
            metrics.push(Scalar::new("top5", counted.mean(TOP5)?));
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
        ("accuracy", Better::Higher)
    }

    fn describe(&self) -> String {
        format!("classification{}", self.weights.told(self.smoothing))
    }
}

/// How many rows that count have a label among the [`TOP`] largest logits, f32 `[]`. Of equal
/// logits that of the lower class is the larger; a row with a NaN does not count.
fn among_largest(cx: &mut Objective<'_>, logits: Value, labels: Value) -> Result<Value> {
    let (rows, classes) = (cx.rows(), cx.classes());
    let mask = cx.row_mask()?;
    let g = cx.graph();
    let numbers = Tensor::u32([1, classes], (0..classes as u32).collect())?;
    let numbers = g.constant(numbers)?;
    let labels = g.reshape(labels, [rows, 1])?;
    let lower = g.lt(numbers, labels)?;
    let own = g.eq(labels, numbers)?;
    let zero = g.constant(Tensor::scalar(0.0))?;
    let own = g.select(own, logits, zero)?;
    let own = g.sum(own, &[1], true)?;
    // Those that are no larger; the others are larger, or NaN.
    let below = g.le(logits, own)?;
    let below = g.cast(below, DType::F32)?;
    // Nor is a lower class that has as much.
    let equal = g.eq(logits, own)?;
    let (equal, lower) = (g.cast(equal, DType::F32)?, g.cast(lower, DType::F32)?);
    let before = g.mul(equal, lower)?;
    let below = g.sub(below, before)?;
    let below = g.sum(below, &[1], false)?;
    let least = g.constant(Tensor::scalar((classes - TOP + 1) as f32))?;
    let right = g.ge(below, least)?;
    let mask = g.cast(mask, DType::F32)?;
    let right = g.cast(right, DType::F32)?;
    let right = g.mul(right, mask)?;
    g.sum(right, &[0], false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_is_set() {
        let told = |task: Classification| task.describe();
        assert_eq!(told(Classification::new()), "classification");
        assert_eq!(
            told(Classification::new().label_smoothing(0.1).balanced()),
            "classification, label smoothing 0.1, balanced classes"
        );
        assert_eq!(
            told(Classification::new().class_weights([1.0, 0.5])),
            "classification, class weights 1, 0.5"
        );
        assert!(told(Classification::new().class_weights([1.0; 12])).ends_with("1 and 2 more"));
    }
}
