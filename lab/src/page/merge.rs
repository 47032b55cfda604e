//! Lines of several runs and machines as one: what was measured, case by case, in a column for each
//! way through an adapter.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use striate::kernel::Choice;

use super::lines::Line;

/// An adapter through one back end, by this library or a peer.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub key: Key,
    /// Short, and different from all others.
    pub label: String,
    pub dates: BTreeSet<String>,
    pub versions: BTreeSet<String>,
    /// Highest peaks that were measured; a peer takes those that this library found on its adapter.
    pub peak: Option<Peak>,
    /// Whether times are the device's own.
    pub timestamps: Option<bool>,
    /// Lines that count.
    pub lines: usize,
}

/// What tells columns apart, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The library, if it is another.
    pub peer: Option<String>,
    pub adapter: String,
    pub machine: String,
    pub backend: String,
    pub driver: String,
    pub checked: bool,
    pub zeroed: bool,
}

impl Key {
    /// The adapter, and the machine if it has a name.
    pub fn device(&self) -> String {
        self.of_machine(&self.adapter)
    }

    fn of_machine(&self, adapter: &str) -> String {
        match self.machine.as_str() {
            "" => adapter.to_owned(),
            machine => format!("{adapter}, {machine}"),
        }
    }
}

/// Rates of an adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    pub gflops: f64,
    pub gbps: f64,
}

/// A case in every column.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub name: String,
    pub work: Option<Work>,
    /// By column: its variants in the order of their lines.
    pub cells: Vec<Vec<Measured>>,
}

/// How much a case is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    pub flops: f64,
    pub bytes: f64,
}

/// One variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub variant: String,
    pub chosen: bool,
    pub ms: f64,
    pub gflops: Option<f64>,
    pub gbps: Option<f64>,
    /// Share of what the peaks allow.
    pub roofline: Option<f64>,
    pub error: Option<f64>,
    pub wrong: Option<String>,
    pub date: Option<String>,
}

/// Everything that the files hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    pub columns: Vec<Column>,
    pub cases: Vec<Case>,
    /// Lines that later ones replaced.
    pub replaced: usize,
}

/// How much slower the rules' choice is than the best variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Regret<'a> {
    pub case: &'a str,
    pub chosen: &'a Measured,
    pub best: &'a Measured,
}

impl Regret<'_> {
    /// 1 where the choice is the best.
    pub fn ratio(&self) -> f64 {
        self.chosen.ms / self.best.ms
    }
}

/// The geometric mean; of nothing there is none.
pub fn geometric_mean(ratios: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for ratio in ratios {
        sum += ratio.ln();
        count += 1;
    }
    (count > 0).then(|| (sum / f64::from(count)).exp())
}

impl Lab {
    /// Of a case in a column the lines of the last day count, so that what is compared was measured
    /// together, and of a variant on one day the last line.
    pub fn new(lines: Vec<Line>) -> Self {
        let keys: BTreeSet<Key> = lines.iter().map(key).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let mut names: Vec<String> = Vec::new();
        let mut cells: BTreeMap<(usize, usize), Vec<Line>> = BTreeMap::new();
        let mut replaced = 0;
        for line in lines {
            let key = key(&line);
            // Every key is there.
            let column = keys.partition_point(|other| *other < key);
            let case = names.iter().position(|name| *name == line.case);
            let case = case.unwrap_or_else(|| {
                names.push(line.case.clone());
                names.len() - 1
            });
            replaced += add(cells.entry((case, column)).or_default(), line);
        }
        let mut columns = columns(keys);
        for ((_, column), lines) in &cells {
            for line in lines {
                columns[*column].take(line);
            }
        }
        lend_peaks(&mut columns);
        let cases = (0..).zip(names).map(|(case, name)| {
            let cells = (0..columns.len()).map(|column| cells.remove(&(case, column)));
            let cells: Vec<Vec<Line>> = cells.map(Option::unwrap_or_default).collect();
            let work = cells.iter().flatten().find_map(work);
            let measured = |(lines, column): (Vec<Line>, &Column)| {
                let lines = lines.into_iter();
                lines
                    .map(|line| Measured::new(line, work, column.peak))
                    .collect()
            };
            let cells = cells.into_iter().zip(&columns).map(measured).collect();
            Case { name, work, cells }
        });
        let cases = cases.collect();
        Self {
            columns,
            cases,
            replaced,
        }
    }

    /// The choices of the rules in a column, worst first: where several variants were measured and
    /// one of them is the choice.
    pub fn regrets(&self, column: usize) -> Vec<Regret<'_>> {
        let cases = self.cases.iter();
        let mut regrets: Vec<Regret<'_>> = cases.filter_map(|case| case.regret(column)).collect();
        regrets.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
        regrets
    }

    /// How many times longer a peer takes than this library, case by case.
    pub fn against(&self, own: usize, peer: usize) -> Vec<(&str, f64)> {
        let both = |case: &Case| Some(case.shown(peer)?.ms / case.shown(own)?.ms);
        let all = self.cases.iter();
        all.filter_map(|case| Some((case.name.as_str(), both(case)?)))
            .collect()
    }
}

impl Case {
    /// What stands for a column: the rules' choice, else the fastest. Wrong results never do.
    pub fn shown(&self, column: usize) -> Option<&Measured> {
        let cell = &self.cells[column];
        choice(cell).or_else(|| fastest(cell))
    }

    fn regret(&self, column: usize) -> Option<Regret<'_>> {
        let cell = &self.cells[column];
        let rivals = cell.iter().filter(|m| !Choice::rounds(&m.variant)).count();
        let best = right(cell)
            .filter(|m| !Choice::rounds(&m.variant))
            .min_by(by_time);
        let (chosen, best) = (choice(cell)?, best?);
        let case = &self.name;
        (rivals > 1).then_some(Regret { case, chosen, best })
    }

    /// The kind of work: the name up to the first slash.
    pub fn family(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

impl Work {
    /// Floating-point operations per byte.
    pub fn intensity(&self) -> f64 {
        self.flops / self.bytes
    }
}

impl Peak {
    /// Milliseconds below which the work cannot come.
    fn floor(&self, work: Work) -> f64 {
        (work.flops / self.gflops).max(work.bytes / self.gbps) / 1e6
    }
}

impl Column {
    fn take(&mut self, line: &Line) {
        self.lines += 1;
        self.dates.extend(line.date.clone());
        self.versions.extend(line.version.clone());
        self.timestamps = self.timestamps.or(line.timestamps);
        if let (Some(gflops), Some(gbps)) = (line.peak_gflops, line.peak_gbps)
            && gflops > 0.0
            && gbps > 0.0
        {
            let peak = self.peak.get_or_insert(Peak { gflops, gbps });
            peak.gflops = peak.gflops.max(gflops);
            peak.gbps = peak.gbps.max(gbps);
        }
    }
}

impl Measured {
    fn new(line: Line, work: Option<Work>, peak: Option<Peak>) -> Self {
        let by_work = |amount: fn(Work) -> f64| work.map(|work| amount(work) / line.ms / 1e6);
        let share = || Some(peak?.floor(work?) / line.ms);
        Self {
            gflops: line.gflops.or_else(|| by_work(|work| work.flops)),
            gbps: line.gbps.or_else(|| by_work(|work| work.bytes)),
            roofline: line.roofline.or_else(share),
            variant: line.variant,
            chosen: line.chosen,
            ms: line.ms,
            error: line.error,
            wrong: line.wrong,
            date: line.date,
        }
    }
}

fn key(line: &Line) -> Key {
    Key {
        peer: line.peer().map(str::to_owned),
        adapter: line.adapter.clone(),
        machine: line.machine.clone(),
        backend: line.backend.clone(),
        driver: line.driver.trim().to_owned(),
        checked: line.checked,
        zeroed: line.zeroed,
    }
}

/// Puts a line among those of its case and column; how many were replaced, itself included.
fn add(cell: &mut Vec<Line>, line: Line) -> usize {
    let before = cell.len() + 1;
    let last = cell.iter().map(|other| &other.date).max();
    if last.is_none_or(|last| line.date >= *last) {
        cell.retain(|other| other.date == line.date && other.variant != line.variant);
        cell.push(line);
    }
    before - cell.len()
}

fn right(cell: &[Measured]) -> impl DoubleEndedIterator<Item = &Measured> {
    cell.iter().filter(|m| m.wrong.is_none())
}

fn choice(cell: &[Measured]) -> Option<&Measured> {
    right(cell).rfind(|m| m.chosen)
}

fn fastest(cell: &[Measured]) -> Option<&Measured> {
    right(cell).min_by(by_time)
}

fn by_time(a: &&Measured, b: &&Measured) -> Ordering {
    a.ms.total_cmp(&b.ms)
}

/// The work behind a line.
fn work(line: &Line) -> Option<Work> {
    let amount = |rate: Option<f64>| {
        rate.filter(|&rate| rate > 0.0)
            .map(|rate| rate * line.ms * 1e6)
    };
    Some(Work {
        flops: amount(line.gflops)?,
        bytes: amount(line.gbps)?,
    })
}

/// Empty columns, with as much in their labels as tells them apart.
fn columns(keys: Vec<Key>) -> Vec<Column> {
    let labels: Vec<String> = keys.iter().map(label).collect();
    let labelled = |(key, label): (Key, &String)| {
        let unique = labels.iter().filter(|other| *other == label).count() == 1;
        Column {
            label: match unique {
                true => label.clone(),
                false if key.driver.is_empty() => format!("{label}, driver unknown"),
                false => format!("{label}, {}", key.driver),
            },
            key,
            dates: BTreeSet::new(),
            versions: BTreeSet::new(),
            peak: None,
            timestamps: None,
            lines: 0,
        }
    };
    keys.into_iter().zip(&labels).map(labelled).collect()
}

fn label(key: &Key) -> String {
    let device = key.of_machine(key.adapter.split(" (").next().unwrap_or_default());
    let mut label = match &key.peer {
        Some(peer) => format!("{peer}, {device}"),
        None => device,
    };
    if !key.backend.is_empty() {
        label = format!("{label}, {}", key.backend);
    }
    for (flag, name) in [(key.checked, "checked"), (key.zeroed, "zeroed")] {
        if flag {
            label = format!("{label}, {name}");
        }
    }
    label
}

/// Gives peers the peaks that were measured on their adapter.
fn lend_peaks(columns: &mut [Column]) {
    let mut measured: BTreeMap<String, Peak> = BTreeMap::new();
    for column in columns.iter().filter(|column| column.key.peer.is_none()) {
        if let Some(peak) = column.peak {
            let highest = measured.entry(column.key.device()).or_insert(peak);
            highest.gflops = highest.gflops.max(peak.gflops);
            highest.gbps = highest.gbps.max(peak.gbps);
        }
    }
    for column in columns.iter_mut().filter(|column| column.peak.is_none()) {
        column.peak = measured.get(&column.key.device()).copied();
    }
}
