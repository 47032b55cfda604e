//! Cases on every adapter, counted by op.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use striate::check::{Adapter, Case, Prepared};

/// What cases found so far.
pub struct Tally<'a> {
    /// One row each.
    pub adapters: Vec<Row<'a>>,
    /// Everything that was wrong.
    pub wrong: Vec<String>,
    /// Time that the reference took, added up over cases that ran side by side.
    pub reference: Duration,
}

/// What an adapter gave.
pub struct Row<'a> {
    /// Whose row it is.
    pub adapter: &'a Adapter,
    /// By op.
    pub counts: BTreeMap<String, Count>,
    /// The limit that stands against the first case beyond the adapter's.
    pub unsupported: Option<String>,
    /// What ops refused where values are in parts, as their cases say, with the number of cases.
    pub refused_parts: BTreeMap<&'static str, usize>,
}

/// What some cases gave on an adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count {
    /// Cases that were right in every way that ran.
    pub passed: usize,
    /// Cases that were wrong in some.
    pub failed: usize,
    /// Cases beyond the adapter's limits.
    pub unsupported: usize,
    /// Ways in which cases ran and were right.
    pub runs: usize,
    /// Those among them in which values lay in several parts.
    pub in_parts: usize,
    /// Those among them in which loops were cut into pieces.
    pub in_pieces: usize,
    /// Largest error met, in units of its bound.
    pub worst: f64,
    /// Time of planning, compiling, running and comparing, added up over cases that ran side by
    /// side.
    pub time: Duration,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.unsupported += other.unsupported;
        self.runs += other.runs;
        self.in_parts += other.in_parts;
        self.in_pieces += other.in_pieces;
        self.worst = self.worst.max(other.worst);
        self.time += other.time;
    }
}

impl Row<'_> {
    /// Over all ops.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        for &count in self.counts.values() {
            total += count;
        }
        total
    }
}

impl<'a> Tally<'a> {
    /// Of no cases yet.
    pub fn new(adapters: &'a [Adapter]) -> Self {
        let row = |adapter| Row {
            adapter,
            counts: BTreeMap::new(),
            unsupported: None,
            refused_parts: BTreeMap::new(),
        };
        Self {
            adapters: adapters.iter().map(row).collect(),
            wrong: Vec::new(),
            reference: Duration::ZERO,
        }
    }

    /// Runs cases on every adapter, as many at a time as there are processors: while an adapter
    /// compiles for one, the reference and another adapter work for others.
    pub fn check(&mut self, cases: &[Case]) {
        self.check_groups(&[cases], |_, _| ());
    }

    /// The same with cases in groups. Each in its turn is told by its number, when all of it is
    /// counted and nothing that comes behind.
    pub fn check_groups(&mut self, groups: &[&[Case]], mut told: impl FnMut(&Self, usize)) {
        let adapters: Vec<&Adapter> = self.adapters.iter().map(|row| row.adapter).collect();
        let all: Vec<&Case> = groups.iter().copied().flatten().collect();
        let next = AtomicUsize::new(0);
        let (sender, results) = mpsc::channel();
        let work = |sender: mpsc::Sender<(usize, Found)>| {
            while let Some((at, case)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                all.get(at).map(|case| (at, case))
            } {
                if sender.send((at, Found::of(case, &adapters))).is_err() {
                    break;
                }
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads.min(all.len()) {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            // Where `told` panics this is dropped, and workers end after the case at hand.
            let results = results;
            // Cases end in any order, and count in their own.
            let mut early = BTreeMap::new();
            let mut first = 0;
            for (number, group) in groups.iter().enumerate() {
                for (at, case) in (first..).zip(*group) {
                    let found = loop {
                        if let Some(found) = early.remove(&at) {
                            break found;
                        }
                        let (at, found) = results.recv().expect("no case panics");
                        early.insert(at, found);
                    };
                    self.add(case, found);
                }
                first += group.len();
                told(self, number);
            }
        });
    }

    fn add(&mut self, case: &Case, found: Found) {
        self.reference += found.reference;
        self.wrong.extend(found.wrong);
        for (row, (count, unsupported, refused)) in self.adapters.iter_mut().zip(found.rows) {
            *row.counts.entry(case.op().to_owned()).or_default() += count;
            if row.unsupported.is_none() {
                row.unsupported = unsupported;
            }
            if let Some(words) = refused {
                *row.refused_parts.entry(words).or_default() += 1;
            }
        }
    }
}

/// What one case gave.
struct Found {
    reference: Duration,
    wrong: Vec<String>,
    /// For each adapter: counts, the limit that it is beyond, what was refused in parts.
    rows: Vec<(Count, Option<String>, Option<&'static str>)>,
}

impl Found {
    fn of(case: &Case, adapters: &[&Adapter]) -> Self {
        let start = Instant::now();
        let prepared = Prepared::new(case);
        let reference = start.elapsed();
        let mut wrong = Vec::new();
        if let Err(error) = &prepared {
            wrong.push(format!("{}: {error}", case.name));
        }
        let mut rows = Vec::new();
        for adapter in adapters {
            let start = Instant::now();
            let mut count = Count::default();
            let (mut unsupported, mut refused) = (None, None);
            match &prepared {
                Err(_) => count.failed = 1,
                Ok(prepared) => {
                    let verdict = adapter.check(prepared);
                    count.runs = verdict.passed;
                    count.in_parts = verdict.in_parts;
                    count.in_pieces = verdict.in_pieces;
                    count.worst = verdict.worst;
                    match (verdict.wrong.is_empty(), &verdict.unsupported) {
                        (false, _) => count.failed = 1,
                        (true, Some(limit)) => {
                            count.unsupported = 1;
                            unsupported = Some(format!("{}: {limit}", case.name));
                        }
                        (true, None) => count.passed = 1,
                    }
                    refused = verdict.refused_parts.and(case.whole);
                    wrong.extend(verdict.wrong.iter().map(ToString::to_string));
                }
            }
            count.time = start.elapsed();
            rows.push((count, unsupported, refused));
        }
        Self {
            reference,
            wrong,
            rows,
        }
    }
}

impl fmt::Display for Tally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.adapters {
            let Count {
                passed,
                failed,
                unsupported,
                runs,
                in_parts,
                in_pieces,
                worst,
                time,
            } = row.total();
            writeln!(
                f,
                "{}: {passed} passed, {failed} failed, {unsupported} unsupported; {runs} runs, \
                 {in_parts} in parts, which were refused by {:?}, {in_pieces} in pieces, \
                 worst error {worst:.2} of its bound, {} pipelines, {:.1} s",
                row.adapter,
                row.refused_parts,
                row.adapter.pipeline_count(),
                time.as_secs_f64()
            )?;
        }
        Ok(())
    }
}
