//! Curves as SVG, with axes, a legend, and what each epoch came to where the pointer is.

use std::fmt::Write;

use super::page::escaped;
use crate::train::{Scalar, digits};

/// How wide a chart is, and how high with two rows above it or fewer; then the edges of the part of
/// it where curves run.
pub(super) const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 284.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 428.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 248.0;
/// How far the rows of the legend lie apart.
const ROW: f64 = 16.0;

/// The most points of a curve of steps; where there are more, each is the mean of several.
const MOST_POINTS: usize = 300;

/// One curve.
#[derive(Debug)]
pub(super) struct Series {
    /// What it is of: `train`, `val`.
    pub name: String,
    /// Which colour it has.
    pub colour: usize,
    /// Place in epochs, and value.
    pub points: Vec<[f64; 2]>,
    /// Of steps within epochs, where they were told.
    pub fine: Vec<[f64; 2]>,
}

/// One measure with its curves.
#[derive(Debug)]
pub(super) struct Chart {
    /// What was measured: `loss`.
    pub title: String,
    pub series: Vec<Series>,
    /// Where the horizontal axis begins and ends, in epochs.
    pub span: [f64; 2],
    /// The best epoch.
    pub best: Option<f64>,
}

/// How high charts are that keep room for so many rows above the curves.
pub(super) fn height(rows: usize) -> f64 {
    HEIGHT + lower(rows)
}

/// By how much curves begin lower than under two rows.
fn lower(rows: usize) -> f64 {
    ROW * rows.saturating_sub(2) as f64
}

/// The most rows that stand above the curves of one of these charts: the legend's, and the word at
/// the best epoch.
pub(super) fn most_rows<'a>(charts: impl IntoIterator<Item = &'a Chart>) -> usize {
    let rows = charts
        .into_iter()
        .map(|chart| chart.legend().1 + usize::from(chart.marked().is_some()));
    rows.max().unwrap_or(0)
}

/// A vertical axis: from where to where, and whether its steps multiply.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// From 0 at the bottom to 1 at the top.
    fn place(&self, value: f64) -> f64 {
        let map = |value: f64| {
            if self.log {
                value.max(1e-300).log10()
            } else {
                value
            }
        };
        let (low, high) = (map(self.low), map(self.high));
        (map(value) - low) / (high - low)
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.log {
            let step = nice_step(self.high - self.low, 7);
            return multiples(self.low, self.high, step);
        }
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let wide = (self.high / self.low).log10();
        let steps: &[f64] = match wide {
            wide if wide < 2.0 => &[1.0, 2.0, 5.0],
            wide if wide < 3.5 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let ticks = decades.flat_map(|decade| steps.iter().map(move |s| s * 10f64.powi(decade)));
        let inside = 0.999 * self.low..=1.001 * self.high;
        let ticks: Vec<f64> = ticks.filter(|tick| inside.contains(tick)).collect();
        let every = ticks.len().div_ceil(7).max(1);
        ticks.into_iter().step_by(every).collect()
    }
}

/// The round step that cuts a span into about so many.
fn nice_step(span: f64, count: usize) -> f64 {
    let rough = span / count as f64;
    let decade = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    steps
        .into_iter()
        .find(|&step| step >= 0.999 * rough)
        .unwrap_or(rough)
}

fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-6).ceil() as i64;
    let last = (high / step + 1e-6).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

impl Chart {
    fn is_share(&self) -> bool {
        self.scalar(0.0).is_share()
    }

    fn scalar(&self, value: f64) -> Scalar {
        Scalar {
            name: self.title.clone(),
            value,
        }
    }

    /// The axis that shows what epochs came to. What steps within them came to may run beyond it.
    fn scale(&self) -> Option<Scale> {
        let finite = |points: &[[f64; 2]]| -> Vec<f64> {
            let values = points.iter().map(|point| point[1]);
            values.filter(|value| value.is_finite()).collect()
        };
        let mut values: Vec<f64> = self.series.iter().flat_map(|s| finite(&s.points)).collect();
        // Two epochs have no course of their own yet.
        let few = self.series.iter().all(|series| series.points.len() < 3);
        if few || !self.is_share() {
            values.extend(self.series.iter().flat_map(|s| finite(&thinned(&s.fine))));
        }
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        if low > 0.0 && high / low > 12.0 && self.title.contains("loss") {
            return Some(Scale {
                low: low / 1.15,
                high: high * 1.15,
                log: true,
            });
        }
        let room = match high - low {
            span if span > 1e-9 * high.abs() => 0.06 * span,
            _ => 0.1 * high.abs().max(1e-6),
        };
        let (mut low, mut high) = (low - room, high + room);
        if self.is_share() {
            (low, high) = (low.max(0.0), high.min(1.0));
        }
        Some(Scale {
            low,
            high,
            log: false,
        })
    }

    /// The chart as a group, whose top left is at the origin, with room for so many rows above
    /// the curves. `id` is its own in the file.
    pub fn draw(&self, id: &str, rows: usize) -> String {
        let mut svg = format!(
            "<text class=\"title\" x=\"0\" y=\"16\">{}</text>",
            escaped(&self.title.replace('_', " "))
        );
        let Some(scale) = self.scale() else {
            let _ = write!(
                svg,
                "<text x=\"{LEFT}\" y=\"{TOP}\" class=\"soft\">no number is finite</text>"
            );
            return svg;
        };
        if scale.log {
            let _ = write!(
                svg,
                "<text class=\"soft\" x=\"{RIGHT}\" y=\"16\" text-anchor=\"end\">logarithmic</text>"
            );
        }
        svg.push_str(&self.legend().0);
        let _ = write!(svg, "<g transform=\"translate(0 {})\">", lower(rows));
        let [from, to] = self.span;
        let span = if to > from { to - from } else { 1.0 };
        let across = |epoch: f64| LEFT + (RIGHT - LEFT) * (epoch - from) / span;
        let down = |value: f64| BOTTOM - (BOTTOM - TOP) * scale.place(value).clamp(-5.0, 5.0);

        let _ = write!(
            svg,
            "<clipPath id=\"{id}\"><path d=\"M{LEFT} {0}H{1}V{2}H{LEFT}z\"/></clipPath>",
            TOP - 3.0,
            RIGHT + 6.0,
            BOTTOM + 3.0
        );
        let ticks = scale.ticks();
        for &tick in &ticks {
            let y = down(tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"soft\" \
                 x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                self.tick(tick, &ticks)
            );
        }
        let step = nice_step(span, 8).max(1.0).round();
        for tick in multiples(from, to, step) {
            let _ = write!(
                svg,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
                across(tick),
                BOTTOM + 17.0
            );
        }
        let _ = write!(
            svg,
            "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/><text class=\"soft\" x=\"{:.1}\" \
             y=\"{:.1}\" text-anchor=\"middle\">epoch</text>",
            (LEFT + RIGHT) / 2.0,
            HEIGHT - 4.0
        );
        if let Some(best) = self.marked() {
            let x = across(best);
            let _ = write!(
                svg,
                "<path class=\"best\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text class=\"soft\" \
                 x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">best</text>",
                x.min(RIGHT - 12.0),
                TOP - 5.0
            );
        }
        let _ = write!(svg, "<g clip-path=\"url(#{id})\">");
        for series in &self.series {
            let colour = series.colour;
            let line = path(&thinned(&series.fine), &across, &down);
            if !line.is_empty() {
                let _ = write!(svg, "<path class=\"fine s{colour}\" d=\"{line}\"/>");
            }
        }
        svg.push_str("</g>");
        for series in &self.series {
            let colour = series.colour;
            let line = path(&series.points, &across, &down);
            if series.points.len() > 1 {
                let _ = write!(svg, "<path class=\"line s{colour}\" d=\"{line}\"/>");
            }
            if series.points.len() <= 40 {
                for [epoch, value] in series.points.iter().filter(|point| point[1].is_finite()) {
                    let _ = write!(
                        svg,
                        "<circle class=\"dot s{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.8\"/>",
                        across(*epoch),
                        down(*value)
                    );
                }
            }
        }
        self.draw_hits(&mut svg, &across);
        svg + "</g>"
    }

    /// The best epoch, where there are others.
    fn marked(&self) -> Option<f64> {
        let several = self.series.iter().any(|series| series.points.len() > 1);
        self.best.filter(|_| several)
    }

    /// A number at the axis, with as many places as its neighbours need.
    fn tick(&self, tick: f64, ticks: &[f64]) -> String {
        let (factor, unit) = if self.is_share() {
            (100.0, " %")
        } else {
            (1.0, "")
        };
        let near = ticks.windows(2).map(|pair| factor * (pair[1] - pair[0]));
        let near = near.reduce(f64::min).unwrap_or(factor);
        let value = factor * tick;
        let size = value.abs();
        if size > 0.0 && !(1e-4..1e6).contains(&size) {
            return format!("{value:.0e}");
        }
        let places = (-near.log10() + 1e-6).ceil().clamp(0.0, 6.0) as usize;
        let text = format!("{value:.places$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned() + unit,
            false => text + unit,
        }
    }

    /// The curves' names, each with its last value, and how many rows they take.
    fn legend(&self) -> (String, usize) {
        let mut svg = String::new();
        let (mut x, mut rows) = (LEFT, 1);
        for series in &self.series {
            let last = series.points.last().or(series.fine.last());
            let value = last
                .map(|point| self.scalar(point[1]).shown())
                .unwrap_or_default();
            let name = match series.name.is_empty() {
                true => String::new(),
                false => escaped(&series.name) + " ",
            };
            let wide = 44.0 + 7.0 * (series.name.chars().count() + value.len()) as f64;
            if x > LEFT && x + wide > WIDTH + 24.0 {
                (x, rows) = (LEFT, rows + 1);
            }
            let y = ROW * (1 + rows) as f64;
            let _ = write!(
                svg,
                "<path class=\"line s{0}\" d=\"M{x:.0} {y:.0}h14\"/><circle class=\"dot s{0}\" \
                 cx=\"{1:.0}\" cy=\"{y:.0}\" r=\"2.8\"/><text x=\"{2:.0}\" \
                 y=\"{3:.0}\">{name}<tspan class=\"strong\">{value}</tspan></text>",
                series.colour,
                x + 7.0,
                x + 20.0,
                y + 4.0
            );
            x += wide;
        }
        (svg, rows)
    }

    /// Columns that tell what an epoch came to.
    fn draw_hits(&self, svg: &mut String, across: &impl Fn(f64) -> f64) {
        let points = self.series.iter().flat_map(|series| &series.points);
        let mut places: Vec<f64> = points.map(|point| point[0]).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let wide = (RIGHT - LEFT) / places.len().max(1) as f64;
        if places.len() > 400 {
            return;
        }
        for place in places {
            let mut told = format!("epoch {}", digits(place));
            for series in &self.series {
                let found = series.points.iter().find(|point| point[0] == place);
                if let Some(&[_, value]) = found {
                    let shown = self.scalar(value).shown();
                    let _ = write!(told, "\n{} {shown}", escaped(&series.name));
                }
            }
            let x = across(place);
            let _ = write!(
                svg,
                "<g class=\"hit\"><title>{told}</title><rect x=\"{:.1}\" y=\"{TOP}\" \
                 width=\"{wide:.1}\" height=\"{}\"/><path d=\"M{x:.1} {TOP}V{BOTTOM}\"/></g>",
                x - wide / 2.0,
                BOTTOM - TOP
            );
        }
    }
}

/// A curve through points; it is interrupted where a value is none.
fn path(points: &[[f64; 2]], across: &impl Fn(f64) -> f64, down: &impl Fn(f64) -> f64) -> String {
    let mut line = String::new();
    let mut drawing = false;
    for &[epoch, value] in points {
        if value.is_finite() {
            let command = if drawing { 'L' } else { 'M' };
            let _ = write!(line, "{command}{:.1} {:.1}", across(epoch), down(value));
        }
        drawing = value.is_finite();
    }
    line
}

/// The means of neighbours, where there are many points.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let each = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |few: &[[f64; 2]], part: usize| {
        few.iter().map(|point| point[part]).sum::<f64>() / few.len() as f64
    };
    points
        .chunks(each)
        .map(|few| [mean(few, 0), mean(few, 1)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(title: &str, values: &[f64]) -> Chart {
        let points = values.iter().enumerate();
        Chart {
            title: title.to_owned(),
            series: vec![Series {
                name: "train".to_owned(),
                colour: 0,
                points: points
                    .map(|(at, &value)| [at as f64 + 1.0, value])
                    .collect(),
                fine: Vec::new(),
            }],
            span: [0.0, values.len() as f64],
            best: None,
        }
    }

    #[test]
    fn ticks_are_round_and_cover_the_axis() {
        for (title, values, ticks) in [
            (
                "loss",
                &[1.0, 2.0, 3.0][..],
                &["1", "1.5", "2", "2.5", "3"][..],
            ),
            ("loss", &[2.0, 0.2, 0.02], &["0.03", "0.1", "0.3", "1"]),
            (
                "loss",
                &[100.0, 0.001],
                &["0.001", "0.01", "0.1", "1", "10", "100"],
            ),
            (
                "accuracy",
                &[0.9, 0.98, 0.99],
                &["90 %", "92 %", "94 %", "96 %", "98 %"],
            ),
            (
                "accuracy",
                &[0.991, 0.9925, 0.993],
                &["99.1 %", "99.15 %", "99.2 %", "99.25 %", "99.3 %"],
            ),
        ] {
            let chart = chart(title, values);
            let scale = chart.scale().unwrap();
            let found = scale.ticks();
            let found: Vec<String> = found.iter().map(|&tick| chart.tick(tick, &found)).collect();
            assert_eq!(found, ticks, "{values:?}");
        }
    }

    #[test]
    fn values_lie_within_the_axes() {
        for values in [
            &[0.5][..],
            &[0.0, 0.0],
            &[1.0, 1.0, 1.0],
            &[1e-12, 5.0],
            &[-3.0, 4.0],
        ] {
            for title in ["loss", "accuracy"] {
                let chart = chart(title, values);
                let scale = chart.scale().unwrap();
                let shares = title == "loss" || values.iter().all(|v| (0.0..=1.0).contains(v));
                for &value in values.iter().filter(|_| shares) {
                    let place = scale.place(value);
                    assert!((0.0..=1.0).contains(&place), "{title} {values:?}: {place}");
                }
            }
        }
        assert!(
            chart("loss", &[f64::NAN])
                .draw("c", 1)
                .contains("no number is finite")
        );
        let svg = chart("loss", &[1.0, f64::NAN, 2.0]).draw("c", 1);
        assert!(!svg.contains("NaN,") && !svg.contains("\"NaN"), "{svg}");
    }

    #[test]
    fn curves_begin_below_the_last_row_of_names() {
        for curves in 1..40_usize {
            let mut own = chart("loss", &[1.0, 2.0]);
            let other = || chart("loss", &[1.0, 2.0]).series;
            own.series.extend((1..curves).flat_map(|_| other()));
            let rows = most_rows([&own]);
            assert_eq!(rows, curves.div_ceil(4));
            own.best = Some(1.0);
            assert_eq!(most_rows([&own]), rows + 1);
            let last = format!("y=\"{:.0}\">train", ROW * (1 + rows) as f64 + 4.0);
            assert!(own.draw("c", rows).contains(&last), "{curves}: {last}");
            assert!(ROW * (1 + rows) as f64 + 7.0 < TOP + lower(rows));
        }
    }

    #[test]
    fn many_points_become_means() {
        let points: Vec<[f64; 2]> = (0..3000)
            .map(|i| [f64::from(i), f64::from(i % 10)])
            .collect();
        let thin = thinned(&points);
        assert_eq!(thin.len(), 300);
        assert_eq!(thin[1], [14.5, 4.5]);
    }
}
