//! Bars: speeds case by case, and regrets in order.

use super::merge::{Case, Column, Lab, Measured, Regret};
use super::{amount, escape, long_name, number, percent};

/// Operations per byte from which a case's speed is told in operations.
const DENSE: f64 = 4.0;

/// A card for each case, by kind of work.
pub fn cards(lab: &Lab) -> String {
    let mut families: Vec<&str> = Vec::new();
    for case in &lab.cases {
        if !families.contains(&case.family()) {
            families.push(case.family());
        }
    }
    let family = |name: &&str| {
        let cases: Vec<&Case> = lab
            .cases
            .iter()
            .filter(|case| case.family() == *name)
            .collect();
        let cards: String = cases.iter().map(|case| card(lab, case)).collect();
        format!(
            "<details open><summary>{} <small>{}</small></summary><div \
             class=\"grid\">{cards}</div></details>",
            escape(name),
            match cases.len() {
                1 => "1 case".to_owned(),
                n => format!("{n} cases"),
            },
        )
    };
    format!(
        "<p class=\"note\">What the rules choose, or the fastest where they choose none.</p><p \
         class=\"note switch\">Bars show \
         <label><input type=\"radio\" name=\"bars\" value=\"speed\" checked> the speed next to \
         the fastest column's</label>\
         <label><input type=\"radio\" name=\"bars\" value=\"roof\"> the share of the adapter's \
         own roofline</label></p>{}",
        families.iter().map(family).collect::<String>()
    )
}

fn card(lab: &Lab, case: &Case) -> String {
    let shown: Vec<(usize, &Column, &Measured)> = (0..)
        .zip(&lab.columns)
        .filter_map(|(i, column)| Some((i, column, case.shown(i)?)))
        .collect();
    let fastest = shown
        .iter()
        .map(|(.., m)| m.ms)
        .fold(f64::INFINITY, f64::min);
    let dense = case.work.is_none_or(|work| work.intensity() >= DENSE);
    let row = |&(i, column, m): &(usize, &Column, &Measured)| {
        let (rate, unit) = if dense {
            (m.gflops, "GFLOP/s")
        } else {
            (m.gbps, "GB/s")
        };
        format!(
            "<div class=\"row c{}\" data-col=\"{i}\"><span class=\"name\" \
             title=\"{}\">{}</span><span class=\"track\">\
             <span class=\"fill\" style=\"--speed:{:.4};--roof:{:.4}\"></span></span><span \
             class=\"n\">{} ms</span><span class=\"n\">{}</span>\
             <span class=\"n\">{}</span><span class=\"variant\" \
             title=\"{variant}\">{variant}</span></div>",
            i % 8,
            escape(&long_name(column)),
            escape(&column.label),
            fastest / m.ms,
            m.roofline.unwrap_or(0.0).min(1.0),
            number(m.ms),
            rate.map_or(String::new(), |rate| format!("{} {unit}", number(rate))),
            m.roofline.map_or(String::new(), percent),
            variant = escape(if column.key.peer.is_some() {
                ""
            } else {
                &m.variant
            }),
        )
    };
    let work = case.work.map_or(String::new(), |work| {
        let (flops, bytes) = (amount(work.flops, "FLOP"), amount(work.bytes, "B"));
        format!("<small>{flops}, {bytes}</small>")
    });
    format!(
        "<article class=\"card\" data-case=\"{name}\"><h3>{name} {work}</h3>{}</article>",
        shown.iter().map(row).collect::<String>(),
        name = escape(&case.name),
    )
}

/// Regrets as columns over their logarithm, worst first.
pub fn regrets(regrets: &[Regret], column: usize) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 120.0;
    const LEFT: f64 = 44.0;
    const TOP: f64 = 8.0;
    const BOTTOM: f64 = 8.0;
    let worst = regrets.first().map_or(1.0, Regret::ratio);
    let top = [1.5, 2.0, 3.0, 5.0, 10.0]
        .into_iter()
        .find(|&top| top >= worst)
        .unwrap_or(worst);
    let floor = HEIGHT - BOTTOM;
    let y = |ratio: f64| floor - (floor - TOP) * ratio.ln() / top.ln();
    let ticks: String = [1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0]
        .into_iter()
        .filter(|&tick| tick <= top && (top <= 2.0 || tick != 1.1))
        .map(|tick| {
            let y = y(tick);
            format!(
                "<line class=\"grid-line\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" \
                 y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}×</text>",
                LEFT - 6.0,
                y + 4.0
            )
        })
        .collect();
    let step = (WIDTH - LEFT) / regrets.len().max(1) as f64;
    let bar = |(i, regret): (usize, &Regret)| {
        let (x, y) = (LEFT + step * i as f64, y(regret.ratio()).min(floor - 1.5));
        format!(
            "<rect x=\"{:.2}\" y=\"{y:.1}\" width=\"{:.2}\" height=\"{:.1}\" data-case=\"{case}\" \
             data-tip=\"{case}: {:.2}×\n{} {} ms, best {} {} ms\"/>",
            x + step * 0.1,
            (step * 0.8).min(24.0),
            floor - y,
            regret.ratio(),
            escape(&regret.chosen.variant),
            number(regret.chosen.ms),
            escape(&regret.best.variant),
            number(regret.best.ms),
            case = escape(regret.case),
        )
    };
    let all: String = regrets.iter().enumerate().map(bar).collect();
    format!(
        "<svg class=\"regrets c{}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Regret of every case, worst first\">{ticks}{all}</svg>",
        column % 8
    )
}
