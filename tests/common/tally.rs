//! Cases on every adapter, counted.

use std::fmt;

use striate::check::{Adapter, Case, Prepared};

/// What cases found so far.
pub struct Tally<'a> {
    pub adapters: Vec<Row<'a>>,
    /// Everything that was wrong.
    pub wrong: Vec<String>,
}

/// What an adapter gave.
pub struct Row<'a> {
    pub adapter: &'a Adapter,
    /// Cases that were right in every way that ran.
    pub passed: usize,
    pub failed: usize,
    /// Cases beyond the adapter's limits.
    pub unsupported: usize,
    /// Names of cases that refused values in parts.
    pub refused_parts: Vec<String>,
    /// Ways in which cases ran.
    pub runs: usize,
    /// Largest error met, in units of its bound.
    pub worst: f64,
}

impl<'a> Tally<'a> {
    pub fn new(adapters: &'a [Adapter]) -> Self {
        let row = |adapter| Row {
            adapter,
            passed: 0,
            failed: 0,
            unsupported: 0,
            refused_parts: Vec::new(),
            runs: 0,
            worst: 0.0,
        };
        Self {
            adapters: adapters.iter().map(row).collect(),
            wrong: Vec::new(),
        }
    }

    /// Runs a case on every adapter.
    pub fn check(&mut self, case: &Case) {
        let prepared = match Prepared::new(case) {
            Ok(prepared) => prepared,
            Err(error) => return self.wrong.push(format!("{}: {error}", case.name)),
        };
        for row in &mut self.adapters {
            let verdict = row.adapter.check(&prepared);
            row.runs += verdict.passed;
            row.worst = row.worst.max(verdict.worst);
            match (verdict.wrong.is_empty(), &verdict.unsupported) {
                (false, _) => row.failed += 1,
                (true, Some(_)) => row.unsupported += 1,
                (true, None) => row.passed += 1,
            }
            if verdict.refused_parts.is_some() {
                row.refused_parts.push(case.name.clone());
            }
            self.wrong
                .extend(verdict.wrong.iter().map(ToString::to_string));
        }
    }
}

impl fmt::Display for Tally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.adapters {
            writeln!(
                f,
                "{}: {} cases passed in {} runs, {} failed, {} unsupported, {} refused parts, worst error {:.2} of its bound, {} pipelines",
                row.adapter,
                row.passed,
                row.runs,
                row.failed,
                row.unsupported,
                row.refused_parts.len(),
                row.worst,
                row.adapter.pipeline_count()
            )?;
        }
        Ok(())
    }
}
