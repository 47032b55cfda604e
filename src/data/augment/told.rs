//! What augmentation does, in words.

use std::fmt;

use super::policy::Policy;
use super::steps::Step;
use super::{Augment, Mix, Pass};
use crate::ops::{AugmentRow, Border, Elastic, Levels};

impl fmt::Display for Augment {
    /// For people: the steps in the order of their calls, without what changes nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passes = self.passes.iter().map(Pass::told);
        let passes: Vec<String> = passes.filter(|told| !told.is_empty()).collect();
        match passes.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&passes.join("; then ")),
        }
    }
}

impl Pass {
    fn told(&self) -> String {
        let mut parts: Vec<String> = self.steps.iter().map(Step::told).collect();
        if let Some(Elastic { knots, most }) = self.elastic {
            let most = pixels(most);
            parts.push(format!(
                "an elastic field of {knots}x{knots} knots by up to {most}"
            ));
        }
        match self.border {
            Border::Fill => {}
            Border::Edge => parts.push("edges repeated outside".to_owned()),
            Border::Reflect => parts.push("reflected outside".to_owned()),
        }
        if self.fill > 0 {
            parts.push(format!("filled with {}", self.fill));
        }
        parts.join(", ")
    }
}

impl Step {
    fn told(&self) -> String {
        match *self {
            Step::Flip(p) => perhaps("flips", p),
            Step::FlipVertical(p) => perhaps("flips of top and bottom", p),
            Step::AlternatingFlip => "flips in turn".to_owned(),
            Step::Shift(most) => format!("shifts by up to {}", pixels(most as f64)),
            Step::Rotate(degrees) => format!("turns by up to {degrees} degrees"),
            Step::Scale(low, high) => format!("scales by {low} to {high}"),
            Step::Shear(degrees) => format!("shears by up to {degrees} degrees"),
            Step::ResizedCrop {
                scale: [least, most],
                ratio,
            } => {
                let [low, high] = ratio.map(|ratio| (100.0 * ratio).round() / 100.0);
                format!("crops of {least} to {most} of the area, ratios {low} to {high}, resized")
            }
            Step::Brightness(most) => format!("brightness by up to {most}"),
            Step::Contrast(most) => format!("contrast by up to {most}"),
            Step::Saturation(most) => format!("saturation by up to {most}"),
            Step::Perhaps(p, row) => perhaps(&changes(&row), p),
            Step::Noise(deviation) => format!("noise of deviation {deviation}"),
            Step::Cutout(side) => format!("a square of {side} cut out"),
            Step::Erasing(p) => perhaps("a box erased", p),
            Step::Policy(Policy::TrivialAugmentWide) => "TrivialAugmentWide".to_owned(),
            Step::Policy(Policy::RandAugment { magnitude }) => {
                format!("RandAugment of magnitude {magnitude}")
            }
        }
    }
}

/// What a row that is applied with some probability changes.
fn changes(row: &AugmentRow) -> String {
    let default = AugmentRow::default();
    let mut parts = Vec::new();
    if row.posterize != default.posterize {
        parts.push(format!("posterized to {} bits", row.posterize));
    }
    if row.solarize != default.solarize {
        parts.push(format!("solarized from {}", row.solarize));
    }
    if row.sharpness != default.sharpness {
        parts.push(format!("sharpness {}", row.sharpness));
    }
    match row.levels {
        Levels::Keep => {}
        Levels::Autocontrast => parts.push("autocontrast".to_owned()),
        Levels::Equalize => parts.push("equalized".to_owned()),
    }
    match parts.is_empty() {
        true => "no change".to_owned(),
        false => parts.join(" and "),
    }
}

fn perhaps(what: &str, p: f64) -> String {
    format!("{what} with probability {p}")
}

fn pixels(count: f64) -> String {
    let plural = if count == 1.0 { "" } else { "s" };
    format!("{count} pixel{plural}")
}

impl fmt::Display for Mix {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mixup = self.mixup.map(|alpha| format!("mixup with alpha {alpha}"));
        let cutmix = self
            .cutmix
            .map(|alpha| format!("CutMix with alpha {alpha}"));
        let parts: Vec<String> = mixup.into_iter().chain(cutmix).collect();
        f.write_str(&parts.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_read_well() {
        let told = |name: &str| Augment::by_name(name).unwrap().to_string();
        for (name, words) in [
            (
                "airbench",
                "flips in turn, shifts by up to 2 pixels, a square of 12 cut out, reflected \
                 outside",
            ),
            (
                "digits",
                "turns by up to 10 degrees, scales by 0.9 to 1.1, shears by up to 5 degrees, \
                 shifts by up to 2 pixels",
            ),
            (
                "rand-augment",
                "RandAugment of magnitude 9; then RandAugment of magnitude 9",
            ),
            (
                "random-resized-crop",
                "crops of 0.08 to 1 of the area, ratios 0.75 to 1.33, resized, flips with \
                 probability 0.5",
            ),
            ("trivial-augment-wide", "TrivialAugmentWide"),
        ] {
            assert_eq!(told(name), words);
        }
    }

    #[test]
    fn each_step_has_words() {
        assert_eq!(Augment::new().to_string(), "none");
        let all = Augment::new()
            .flip_vertical(0.5)
            .brightness(0.1)
            .contrast(0.2)
            .saturation(0.3)
            .noise(4.0)
            .random_erasing(0.25)
            .elastic(4, 1.0)
            .border(Border::Edge)
            .fill(7);
        assert_eq!(
            all.to_string(),
            "flips of top and bottom with probability 0.5, brightness by up to 0.1, contrast by up \
             to 0.2, saturation by up to 0.3, noise of deviation 4, a box erased with probability \
             0.25, an elastic field of 4x4 knots by up to 1 pixel, edges repeated outside, filled \
             with 7"
        );
        let levels = Augment::new()
            .posterize(4, 0.5)
            .solarize(128, 0.5)
            .sharpness(2.0, 0.5)
            .autocontrast(0.5)
            .equalize(0.5);
        assert_eq!(
            levels.to_string(),
            "posterized to 4 bits with probability 0.5, solarized from 128 with probability 0.5, \
             sharpness 2 with probability 0.5, autocontrast with probability 0.5, equalized with \
             probability 0.5"
        );
        let both = Mix::mixup(0.2).or(Mix::cutmix(1.0));
        assert_eq!(
            both.to_string(),
            "mixup with alpha 0.2 or CutMix with alpha 1"
        );
        assert_eq!(Mix::cutmix(0.5).to_string(), "CutMix with alpha 0.5");
    }
}
