//! Optimizers as text: for people, and to be compared.

use std::fmt;

use super::Optimizer;
use crate::train::group::{Group, Members};

/// So many names of a group are told.
const NAMES: usize = 4;

impl Optimizer {
    /// All of its settings as text; a schedule by its ends and a checksum (64-bit FNV-1a).
    #[cfg(not(target_arch = "wasm32"))]
    pub(in crate::train) fn key(&self) -> String {
        let mut text = format!("{:?} at {}", self.method, self.lr);
        if let Some(rates) = &self.schedule {
            let mut hash = 0xcbf2_9ce4_8422_2325u64;
            for byte in rates.iter().flat_map(|rate| rate.to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            let most = rates.iter().copied().fold(0.0, f32::max);
            let count = rates.len();
            text = format!(
                "{:?}, {count} rates up to {most} ({hash:016x})",
                self.method
            );
        }
        for group in &self.groups {
            text.push_str(&format!(", {group:?}"));
        }
        if let Some(norm) = self.clip_norm {
            text.push_str(&format!(", clip_norm {norm}"));
        }
        if let Some(limit) = self.clip_value {
            text.push_str(&format!(", clip_value {limit}"));
        }
        if let Some(factor) = self.layer_decay {
            text.push_str(&format!(", layer_decay {factor}"));
        }
        if let Some(average) = &self.average {
            text.push_str(&format!(", {average:?}"));
        }
        text
    }
}

impl fmt::Display for Optimizer {
    /// For people, without what is at its default; a schedule by its length and its highest rate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schedule {
            None => write!(f, "{}, rate {}", self.method, self.lr)?,
            Some(rates) => {
                let most = rates.iter().copied().fold(0.0, f32::max);
                let (count, plural) = (rates.len(), if rates.len() == 1 { "" } else { "s" });
                write!(f, "{}, {count} rate{plural} up to {most}", self.method)?;
            }
        }
        if let Some(norm) = self.clip_norm {
            write!(f, ", gradients clipped to a norm of {norm}")?;
        }
        if let Some(limit) = self.clip_value {
            write!(f, ", gradients clipped to {limit} each")?;
        }
        if let Some(factor) = self.layer_decay {
            write!(f, ", rates times {factor} for each block in depth")?;
        }
        if let Some(average) = &self.average {
            write!(f, ", {average}")?;
        }
        self.groups
            .iter()
            .try_for_each(|group| write!(f, "; {group}"))
    }
}

impl fmt::Display for Group {
    /// For people: whose parameters, and what is of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.members {
            Members::Matching(_) => f.write_str("a group by a predicate")?,
            Members::Named(names) => {
                let (shown, more) = names.split_at(names.len().min(NAMES));
                write!(f, "group {}", shown.join(", "))?;
                if !more.is_empty() {
                    write!(f, " and {} more", more.len())?;
                }
            }
        }
        let rule = self.method.map(|rule| rule.to_string());
        let decay = self
            .weight_decay
            .map(|decay| format!("weight decay {decay}"));
        let rate = (self.rate != 1.0).then(|| format!("rate times {}", self.rate));
        let frozen = self.frozen.then(|| "frozen".to_owned());
        let own: Vec<String> = [rule, decay, rate, frozen].into_iter().flatten().collect();
        match own.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", own.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Ema;
    use crate::train::{AdamW, Sgd};

    #[test]
    fn people_read_what_is_set() {
        let sgd = Sgd::new().momentum(0.9).nesterov(true).weight_decay(5e-4);
        let optimizer = Optimizer::new(sgd).schedule(vec![0.005, 0.01, 0.0]);
        assert_eq!(
            optimizer.to_string(),
            "SGD, momentum 0.9, Nesterov, weight decay 0.0005, 3 rates up to 0.01"
        );
        let optimizer = Optimizer::new(AdamW::new().weight_decay(0.05))
            .group(
                Group::named(["fc.weight", "fc.bias"])
                    .rate(0.1)
                    .rule(Sgd::new()),
            )
            .group(Group::vectors().weight_decay(0.0))
            .group(Group::named(["a", "b", "c", "d", "e"]).frozen())
            .clip_norm(1.0)
            .clip_value(0.5)
            .layer_decay(0.8)
            .average(Ema::new(0.999).warmup());
        assert_eq!(
            optimizer.to_string(),
            "AdamW, weight decay 0.05, rate 0.001, gradients clipped to a norm of 1, gradients \
             clipped to 0.5 each, rates times 0.8 for each block in depth, moving average with \
             decay 0.999, warmed up with gamma 1 and power 0.67; group fc.weight, fc.bias: SGD, \
             rate times 0.1; a group by a predicate: weight decay 0; group a, b, c, d and 1 more: \
             frozen"
        );
    }

    #[test]
    fn other_rates_have_another_key() {
        let of = |rates: Vec<f32>| Optimizer::new(Sgd::new()).schedule(rates);
        let (one, other) = (of(vec![0.1, 0.05]), of(vec![0.1, 0.0]));
        assert_eq!(one.to_string(), other.to_string());
        assert_ne!(one.key(), other.key());
    }
}
