//! The number of a program, beside those of simpler answers.

use std::fmt;

use striate::prelude::*;
use striate::train::Better;

/// What came of a program.
#[derive(Debug, Clone)]
pub struct Outcome {
    what: String,
    better: Better,
    unit: &'static str,
    network: f64,
    target: f64,
    simpler: Vec<(&'static str, f64, Option<f64>)>,
}

impl Outcome {
    /// What was measured, such as `accuracy on 600 held-out patches`, in which unit (`%`, `dB`, or
    /// none), what the network reached, and what it is to reach.
    pub fn new(
        what: impl Into<String>,
        unit: &'static str,
        better: Better,
        network: f64,
        target: f64,
    ) -> Self {
        Self {
            what: what.into(),
            better,
            unit,
            network,
            target,
            simpler: Vec::new(),
        }
    }

    /// What a simpler answer reaches on the same data.
    pub fn beside(mut self, who: &'static str, number: f64) -> Self {
        self.simpler.push((who, number, None));
        self
    }

    /// The same, of an answer that is not to be as good as `limit`: else the data would be too easy
    /// to show anything.
    pub fn beside_below(mut self, who: &'static str, number: f64, limit: f64) -> Self {
        self.simpler.push((who, number, Some(limit)));
        self
    }

    /// What the network reached.
    pub fn network(&self) -> f64 {
        self.network
    }

    /// Fails unless the network reached its target, and each simpler answer is worse than its limit
    /// and than the network.
    ///
    /// # Errors
    /// `Data`, with the numbers.
    pub fn expect(&self) -> Result<()> {
        let as_good = |number: f64, other: f64| match self.better {
            Better::Higher => number >= other,
            Better::Lower => number <= other,
        };
        // NaN is as good as nothing.
        if !as_good(self.network, self.target) {
            return Err(self.wrong(
                "the network",
                self.network,
                "is not as good as",
                self.target,
            ));
        }
        for &(who, number, limit) in &self.simpler {
            if number.is_nan() {
                let message = format!("{}: {who} has no number", self.what);
                return Err(Error::new(ErrorKind::Data, message));
            }
            if let Some(limit) = limit
                && as_good(number, limit)
            {
                return Err(self.wrong(who, number, "is to be worse than", limit));
            }
            if as_good(number, self.network) {
                return Err(self.wrong(
                    who,
                    number,
                    "is as good as the network with",
                    self.network,
                ));
            }
        }
        Ok(())
    }

    fn wrong(&self, who: &str, number: f64, words: &str, other: f64) -> Error {
        let (number, other) = (self.told(number), self.told(other));
        Error::new(
            ErrorKind::Data,
            format!("{}: {who} with {number} {words} {other}", self.what),
        )
    }

    fn told(&self, number: f64) -> String {
        match self.unit {
            "" => format!("{number:.3}"),
            unit => format!("{number:.2} {unit}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![("the network", self.network)];
        rows.extend(self.simpler.iter().map(|&(who, number, _)| (who, number)));
        let width = rows.iter().map(|(who, _)| who.len()).max().unwrap_or(0);
        writeln!(f, "{}:", self.what)?;
        for (who, number) in rows {
            writeln!(f, "  {who:width$}  {:>10}", self.told(number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_reached_is_told() {
        let outcome = |network| {
            Outcome::new("accuracy", "%", Better::Higher, network, 90.0)
                .beside_below("a linear model", 60.0, 75.0)
                .beside("the constant answer", 50.0)
        };
        outcome(91.0).expect().unwrap();
        let told = |outcome: Outcome| outcome.expect().unwrap_err().to_string();
        let text = "accuracy: the network with 89.00 % is not as good as 90.00 %";
        assert_eq!(told(outcome(89.0)), text);
        assert!(outcome(f64::NAN).expect().is_err());
        let easy = outcome(95.0).beside_below("a mean", 80.0, 75.0);
        assert!(told(easy).contains("is to be worse than 75.00 %"));
        assert!(outcome(95.0).beside("a mean", f64::NAN).expect().is_err());
        let lower = Outcome::new("error", "", Better::Lower, 0.2, 0.3).beside("the mean", 0.1);
        assert!(told(lower).contains("is as good as the network with 0.200"));
    }
}
