//! Numbers, or images, of images.

use std::f64::consts::LN_10;

use super::{Counted, Objective, Task};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::ops::{LossFunction, Reduction};
use crate::train::observer::Scalar;

const SQUARED: &str = "squared";
const ABSOLUTE: &str = "absolute";
const DECIBELS: &str = "decibels";

/// The least mean squared error of an image that its PSNR is told of, as a share of the squared
/// peak: 120 dB.
const LEAST: f64 = 1e-12;

/// Numbers of images, such as an angle, or images of images: outputs f32 of the shape of the
/// values ([`Dataset::of_values`]), and the mean squared error unless
/// [`loss`](Self::loss) says otherwise.
///
/// It tells `loss`; in evaluation also `mse` and `mae`, means over all values, and, with
/// [`peak`](Self::peak), `psnr` in decibels, the mean over images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    function: LossFunction,
    peak: Option<f64>,
}

impl Default for Regression {
    fn default() -> Self {
        Self::new()
    }
}

impl Regression {
    /// The mean squared error.
    pub fn new() -> Self {
        Self {
            function: LossFunction::SquaredError,
            peak: None,
        }
    }

    /// Another function of outputs and values, of which the mean is made smaller.
    pub fn loss(mut self, function: LossFunction) -> Self {
        self.function = function;
        self
    }

    /// The largest value that there may be, such as 1.0 or 255.0: with it, the peak signal-to-noise
    /// ratio 10 log10(peak^2 / mse) of each image is told.
    pub fn peak(mut self, peak: f64) -> Self {
        self.peak = Some(peak);
        self
    }
}

impl Task for Regression {
    fn expect(&self, set: &Dataset) -> Result<()> {
        set.expect_values()?;
        match self.peak {
            Some(peak) if !(peak > 0.0 && peak.is_finite()) => Err(Error::shape(format!(
                "regression: a peak of {peak} is not a number above 0"
            ))),
            _ => Ok(()),
        }
    }

    fn measure(&self, cx: &mut Objective<'_>) -> Result<()> {
        let (outputs, values) = (cx.outputs(), cx.targets());
        let ty = cx.graph().ty(values)?.clone();
        let found = cx.graph().ty(outputs)?.clone();
        if found != ty {
            return Err(Error::shape(format!(
                "regression: the model makes {found} of {} images, {ty} is needed",
                cx.rows()
            )));
        }
        let each = ty.row();
        // Filler is 0 on both sides.
        let outputs = cx.masked(outputs)?;
        let g = cx.graph();
        let sum = g.pointwise_loss(outputs, values, self.function, Reduction::Sum)?;
        let sum = g.scale(sum, 1.0 / each as f64)?;
        let mean = cx.mean(sum)?;
        cx.loss("loss", mean, 1.0)?;
        if cx.training() {
            return Ok(());
        }
        let g = cx.graph();
        let difference = g.sub(outputs, values)?;
        let difference = g.reshape(difference, [ty.shape[0], each])?;
        let squares = g.square(difference)?;
        let squares = g.mean(squares, &[1], false)?;
        let squared = g.sum(squares, &[0], false)?;
        let absolute = g.abs(difference)?;
        let absolute = g.mean(absolute, &[1], false)?;
        let absolute = g.sum(absolute, &[0], false)?;
        cx.sum(SQUARED, squared)?;
        cx.sum(ABSOLUTE, absolute)?;
        let Some(peak) = self.peak else {
            return Ok(());
        };
        let g = cx.graph();
        let share = g.scale(squares, 1.0 / (peak * peak))?;
        let share = g.clamp(share, LEAST as f32, f32::MAX)?;
        let decibels = g.log(share)?;
        let decibels = g.scale(decibels, -10.0 / LN_10)?;
        let decibels = cx.masked(decibels)?;
        let decibels = cx.graph().sum(decibels, &[0], false)?;
        cx.sum(DECIBELS, decibels)
    }

    fn metrics(&self, counted: &Counted) -> Result<Vec<Scalar>> {
        let names = [("mse", SQUARED), ("mae", ABSOLUTE), ("psnr", DECIBELS)];
        let there = names
            .iter()
            .filter(|(_, name)| counted.find(name).is_some());
        there
            .map(|&(told, name)| Ok(Scalar::new(told, counted.mean(name)?)))
            .collect()
    }

    fn describe(&self) -> String {
        let by = match self.function {
            LossFunction::SquaredError => "squared error".to_owned(),
            LossFunction::AbsoluteError => "absolute error".to_owned(),
            LossFunction::SmoothL1 { beta } => format!("smooth L1 with beta {beta}"),
            LossFunction::Huber { delta } => format!("Huber with delta {delta}"),
            LossFunction::Bce => "binary cross-entropy".to_owned(),
            LossFunction::BceWithLogits => "binary cross-entropy of logits".to_owned(),
        };
        match self.peak {
            None => format!("regression by {by}"),
            Some(peak) => format!("regression by {by}, peak {peak}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_is_set() {
        assert_eq!(Regression::new().describe(), "regression by squared error");
        let huber = Regression::new().loss(LossFunction::Huber { delta: 0.5 });
        assert_eq!(
            huber.peak(255.0).describe(),
            "regression by Huber with delta 0.5, peak 255"
        );
    }
}
