//! Roofline plots (Williams, Waterman and Patterson 2009): speed over operations per byte, both
//! logarithmic, under the measured peaks.

use super::merge::{Case, Column, Lab, Measured, Peak, Work};
use super::{escape, number, percent};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 50.0;

/// A figure for each adapter whose peaks are known.
pub fn figures(lab: &Lab) -> String {
    let mut devices: Vec<String> = Vec::new();
    for column in lab.columns.iter().filter(|column| column.peak.is_some()) {
        let device = column.key.device();
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    let figures: String = devices
        .iter()
        .filter_map(|device| figure(lab, device))
        .collect();
    match figures.is_empty() {
        true => String::new(),
        false => format!(
            "<p class=\"note\">Each mark is a case; a hollow one is a variant that the rules do \
             not choose. Work left of the knee is bound by memory, \
             right of it by arithmetic.</p><div class=\"grid wide\">{figures}</div>"
        ),
    }
}

/// A measurement and where it stands.
struct Point<'a> {
    case: &'a Case,
    measured: &'a Measured,
    work: Work,
    gflops: f64,
}

/// One axis: from powers of ten to powers of ten, onto pixels.
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let values: Vec<f64> = values.filter(|x| *x > 0.0 && x.is_finite()).collect();
        let low = values.iter().copied().reduce(f64::min)?.log10();
        let high = values.iter().copied().reduce(f64::max)?.log10();
        let low = low.floor() as i32;
        let high = (high.ceil() as i32).max(low + 1);
        Some(Self {
            low,
            high,
            from,
            to,
        })
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + (self.to - self.from) * share
    }

    fn ends(&self) -> [f64; 2] {
        [self.low, self.high].map(|power| 10f64.powi(power))
    }

    /// Powers of ten with their names, and what lies between without.
    fn ticks(&self) -> Vec<(f64, Option<String>)> {
        let mut ticks = Vec::new();
        for power in self.low..=self.high {
            let value = 10f64.powi(power);
            let name = match power {
                ..=-1 => format!("{value:.0$}", power.unsigned_abs() as usize),
                _ => format!("{value:.0}"),
            };
            ticks.push((value, Some(name)));
            if power < self.high {
                ticks.extend((2..10).map(|n| (f64::from(n) * value, None)));
            }
        }
        ticks
    }
}

/// The plot of one adapter, in each back end and by each library.
fn figure(lab: &Lab, device: &str) -> Option<String> {
    let columns = lab.columns.iter().enumerate();
    let columns: Vec<(usize, &Column)> = columns
        .filter(|(_, column)| column.key.device() == device)
        .collect();
    let points: Vec<(usize, Vec<Point>)> =
        columns.iter().map(|&(i, _)| (i, points(lab, i))).collect();
    let all = || points.iter().flat_map(|(_, points)| points);
    let peaks = || columns.iter().filter_map(|(_, column)| column.peak);
    let knees = peaks().map(|peak| peak.gflops / peak.gbps);
    let x = Axis::over(
        all().map(|p| p.work.intensity()).chain(knees),
        LEFT,
        WIDTH - RIGHT,
    )?;
    let y = Axis::over(
        all()
            .map(|p| p.gflops)
            .chain(peaks().map(|peak| peak.gflops)),
        HEIGHT - BOTTOM,
        TOP,
    )?;
    let mut drawn = axes(&x, &y);
    for (i, column) in &columns {
        if column.key.peer.is_none()
            && let Some(peak) = column.peak
        {
            drawn.push_str(&roof(*i, peak, &x, &y));
        }
    }
    // Hollow marks lie below the others.
    for chosen in [false, true] {
        for (shape, (i, points)) in points.iter().enumerate() {
            let column = &lab.columns[*i];
            let wanted = points
                .iter()
                .filter(|p| (p.measured.chosen || column.key.peer.is_some()) == chosen);
            drawn.extend(wanted.map(|point| mark(shape, *i, column, point, chosen, &x, &y)));
        }
    }
    let legend: String = columns
        .iter()
        .enumerate()
        .map(|(shape, (i, column))| {
            let peak = match column.peak {
                Some(peak) if column.key.peer.is_none() => {
                    format!(
                        " <small>{} GFLOP/s, {} \
                    GB/s</small>",
                        number(peak.gflops),
                        number(peak.gbps)
                    )
                }
                _ => String::new(),
            };
            format!(
                "<span data-col=\"{i}\" class=\"c{}\"><svg class=\"key\" viewBox=\"-8 -8 16 \
                 16\"><path class=\"mark\" d=\"{}\"/></svg>{}{peak}</span>",
                i % 8,
                outline(shape, 5.5),
                escape(&column.label),
            )
        })
        .collect();
    Some(format!(
        "<figure class=\"card\"><h3>{name}</h3><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Roofline of {name}\">{drawn}</svg>\
         <figcaption>{legend}</figcaption></figure>",
        name = escape(device),
    ))
}

/// Everything in a column that has a place in the plot and is right.
fn points(lab: &Lab, column: usize) -> Vec<Point<'_>> {
    let mut points = Vec::new();
    for case in &lab.cases {
        for measured in &case.cells[column] {
            if let (Some(work), Some(gflops)) = (case.work, measured.gflops)
                && gflops > 0.0
                && measured.wrong.is_none()
            {
                points.push(Point {
                    case,
                    measured,
                    work,
                    gflops,
                });
            }
        }
    }
    points
}

fn axes(x: &Axis, y: &Axis) -> String {
    let mut drawn = String::new();
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for (value, name) in x.ticks() {
        let at = x.at(value);
        let class = if name.is_some() {
            "grid-line"
        } else {
            "grid-line minor"
        };
        drawn.push_str(&format!(
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>"
        ));
        if let Some(name) = name {
            drawn.push_str(&format!(
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
                bottom + 18.0
            ));
        }
    }
    for (value, name) in y.ticks() {
        let at = y.at(value);
        let class = if name.is_some() {
            "grid-line"
        } else {
            "grid-line minor"
        };
        drawn.push_str(&format!(
            "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
        ));
        if let Some(name) = name {
            drawn.push_str(&format!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                LEFT - 8.0,
                at + 4.0
            ));
        }
    }
    let middle = f64::midpoint(TOP, bottom);
    drawn.push_str(&format!(
        "<text class=\"title\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">FLOP per byte</text>\
         <text class=\"title\" transform=\"translate(16 {middle}) rotate(-90)\" \
         text-anchor=\"middle\">GFLOP/s</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 10.0,
    ));
    drawn
}

/// The line under which every mark of a column lies.
fn roof(column: usize, peak: Peak, x: &Axis, y: &Axis) -> String {
    let ([left, right], [low, _]) = (x.ends(), y.ends());
    let knee = peak.gflops / peak.gbps;
    // Where the slope enters the plot: at its left edge or at its bottom.
    let start = left.max(low / peak.gbps);
    let corners = [
        (start, start * peak.gbps),
        (knee, peak.gflops),
        (right, peak.gflops),
    ];
    let path: Vec<String> = corners
        .iter()
        .map(|&(i, g)| format!("{:.1},{:.1}", x.at(i), y.at(g)))
        .collect();
    format!(
        "<polyline class=\"roof c{}\" data-col=\"{column}\" points=\"{}\"/>",
        column % 8,
        path.join(" ")
    )
}

fn mark(
    shape: usize,
    i: usize,
    column: &Column,
    point: &Point,
    chosen: bool,
    x: &Axis,
    y: &Axis,
) -> String {
    let m = point.measured;
    let variant = match &column.key.peer {
        Some(_) => String::new(),
        None => format!("\n{}", m.variant),
    };
    let share = m.roofline.map_or(String::new(), |share| {
        format!(", {} of the roofline", percent(share))
    });
    let tip = format!(
        "{}\n{}{variant}\n{} ms, {} GFLOP/s{share}",
        point.case.name,
        column.label,
        number(m.ms),
        number(point.gflops)
    );
    format!(
        "<path class=\"mark c{}{}\" data-col=\"{i}\" data-case=\"{}\" data-tip=\"{}\" \
         transform=\"translate({:.1} {:.1})\" d=\"{}\"/>",
        i % 8,
        if chosen { "" } else { " hollow" },
        escape(&point.case.name),
        escape(&tip),
        x.at(point.work.intensity()),
        y.at(point.gflops),
        outline(shape, if chosen { 4.5 } else { 3.5 }),
    )
}

/// A circle, square, triangle or diamond around the origin.
fn outline(shape: usize, r: f64) -> String {
    match shape % 4 {
        0 => format!("M{r} 0A{r} {r} 0 1 1 -{r} 0A{r} {r} 0 1 1 {r} 0Z"),
        1 => format!("M-{s} -{s}H{s}V{s}H-{s}Z", s = r * 0.9),
        2 => format!("M0 -{a}L{a} {b}H-{a}Z", a = r * 1.15, b = r * 0.85),
        _ => format!("M0 -{a}L{a} 0L0 {a}L-{a} 0Z", a = r * 1.25),
    }
}
