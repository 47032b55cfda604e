//! The curves and the worst mistakes as one picture.

use std::fmt::Write;

use super::Report;
use super::chart::{HEIGHT, WIDTH};
use super::page::{class_label, escaped};
use crate::error::Result;

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
    let charts = charts.iter().take(2);
    let width = 2.0 * (MARGIN + WIDTH) + GAP;
    let top = 78.0;
    let mut body = format!(
        "<text class=\"head\" x=\"{MARGIN}\" y=\"40\">{}</text>",
        escaped(&report.title)
    );
    for (at, chart) in charts.enumerate() {
        let x = MARGIN + at as f64 * (WIDTH + GAP);
        let _ = write!(
            body,
            "<g transform=\"translate({x} {top})\">{}</g>",
            chart.draw(&format!("clip{at}"))
        );
    }
    let mut bottom = top + HEIGHT + 24.0;
    if !report.mistakes.is_empty() {
        let (y, step) = (bottom + 38.0, (width - 2.0 * MARGIN) / MISTAKES as f64);
        let side = step - 14.0;
        let _ = write!(
            body,
            "<text class=\"title\" x=\"{MARGIN}\" y=\"{:.0}\">The most certain mistakes</text>",
            bottom + 20.0
        );
        for (at, mistake) in report.mistakes.iter().take(MISTAKES).enumerate() {
            let x = MARGIN + at as f64 * step;
            let _ = write!(
                body,
                "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
                 style=\"image-rendering:pixelated\" href=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{} \u{2192} <tspan class=\"wrong\">{}</tspan></text>",
                mistake.picture.address()?,
                x + side / 2.0,
                y + side + 16.0,
                escaped(&class_label(&report.class_name(mistake.truth))),
                escaped(&class_label(&report.class_name(mistake.answer)))
            );
        }
        bottom = y + side + 30.0;
    }
    let told = ["network", "device", "seed"].map(|name| {
        let facts = report.run.facts.iter().chain(&report.facts);
        let mut facts = facts.filter(|(own, _)| own == name);
        facts.next().map(|(name, value)| format!("{name} {value}"))
    });
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        let _ = write!(
            body,
            "<text class=\"soft\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>",
            bottom + 12.0,
            escaped(&told.join(", "))
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
