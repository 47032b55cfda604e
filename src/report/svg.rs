//! The curves and the worst mistakes as one picture.

use std::fmt::Write;

use super::Report;
use super::chart::{WIDTH, height, most_rows};
use super::page::escaped;
use crate::error::Result;
use crate::models::grouped;

const MARGIN: f64 = 24.0;
const GAP: f64 = 32.0;

/// Mistakes in a row.
const MISTAKES: usize = 14;

const COLOURS: &str = "svg{color-scheme:light dark;--bg:#fff;--text:#1c2128;--soft:#59636e;\
    --line:#d5dbe1;--s0:#1763c6;--s1:#c04a00;--s2:#0f766e;--s3:#8a3ab9;--s4:#8a6100}\
    @media(prefers-color-scheme:dark){svg{--bg:#12161c;--text:#e6eaef;--soft:#9aa5b1;\
    --line:#323a45;--s0:#6cb0ff;--s1:#ff9f5a;--s2:#4fd0bd;--s3:#cf9bff;--s4:#e3b341}}";

pub(super) fn svg(report: &Report) -> Result<String> {
    let charts = report.charts();
    let charts = &charts[..charts.len().min(2)];
    let rows = most_rows(charts);
    let width = 2.0 * (MARGIN + WIDTH) + GAP;
    let top = 78.0;
    let mut body = format!(
        "<text class=\"head\" x=\"{MARGIN}\" y=\"40\">{}</text>",
        escaped(&report.title)
    );
    for (at, chart) in charts.iter().enumerate() {
        let x = MARGIN + at as f64 * (WIDTH + GAP);
        let _ = write!(
            body,
            "<g transform=\"translate({x} {top})\">{}</g>",
            chart.draw(&format!("clip{at}"), rows)
        );
    }
    let mut bottom = top + height(rows) + 24.0;
    if !report.mistakes.is_empty() {
        bottom = mistakes(report, &mut body, width, bottom)?;
    }
    let told = ["network", "device", "processor", "seed"].map(|name| {
        let facts = report.run.facts.iter().chain(&report.facts);
        let mut facts = facts.filter(|(own, _)| own == name);
        facts.next().map(|(name, value)| format!("{name} {value}"))
    });
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        let _ = write!(
            body,
            "<text class=\"soft\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>",
            bottom + 14.0,
            escaped(&told.join(" \u{b7} "))
        );
        bottom += 20.0;
    }
    let height = bottom + 14.0;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\"><style>{COLOURS}{}</style><rect \
         width=\"100%\" height=\"100%\" rx=\"8\" style=\"fill:var(--bg)\"/>{body}</svg>\n",
        include_str!("chart.css")
    ))
}

/// A row of mistakes below `top`; where it ends.
fn mistakes(report: &Report, body: &mut String, width: f64, top: f64) -> Result<f64> {
    let (y, step) = (top + 38.0, (width - 2.0 * MARGIN) / MISTAKES as f64);
    let side = step - 14.0;
    let title = match wrong(report) {
        Some((wrong, all)) => format!(
            "{} of {} images are taken for another class, these most certainly",
            grouped(wrong),
            grouped(all)
        ),
        None => "The most certain mistakes".to_owned(),
    };
    let _ = write!(
        body,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"{:.0}\">{title}</text>",
        top + 20.0
    );
    let shown = || report.mistakes.iter().take(MISTAKES);
    let mut names = shown().flat_map(|m| [m.truth, m.answer].map(|c| report.class_name(c)));
    // Short names stand beside each other, longer ones in two lines.
    let lines = match names.all(|name| name.chars().count() < 4) {
        true => 1.0,
        false => 2.0,
    };
    for (at, mistake) in shown().enumerate() {
        let x = MARGIN + at as f64 * step;
        let middle = x + side / 2.0;
        let [truth, answer] = [mistake.truth, mistake.answer].map(|class| {
            let name = report.class_name(class);
            escaped(&match name.chars().count() > 8 {
                true => name.chars().take(7).chain(['\u{2026}']).collect(),
                false => name,
            })
        });
        let answer = match lines > 1.0 {
            true => format!(
                "{truth}<tspan class=\"wrong\" x=\"{middle:.1}\" dy=\"15\">{answer}</tspan>"
            ),
            false => format!("{truth} \u{2192} <tspan class=\"wrong\">{answer}</tspan>"),
        };
        let _ = write!(
            body,
            "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
             style=\"image-rendering:pixelated\" href=\"{}\"/><text x=\"{middle:.1}\" \
             y=\"{:.1}\" text-anchor=\"middle\">{answer}</text>",
            mistake.picture.address()?,
            y + side + 16.0
        );
    }
    Ok(y + side + 15.0 * lines + 15.0)
}

/// How many images were taken for another class, of how many.
fn wrong(report: &Report) -> Option<(u64, u64)> {
    let classes = report.confusion.len().isqrt();
    let all: u64 = report.confusion.iter().map(|&count| u64::from(count)).sum();
    let right = report.confusion.iter().step_by(classes + 1);
    let right: u64 = right.map(|&count| u64::from(count)).sum();
    (all > 0).then_some((all - right, all))
}
