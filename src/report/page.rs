//! The page.

use std::fmt::Write;

use super::chart::{WIDTH, height, most_rows};
use super::{Panel, Report, matrix};
use crate::error::Result;
use crate::models::grouped;
use crate::train::{Ended, EpochRecord, Scalar, digits, duration};

/// Nothing is loaded, and nothing runs.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';img-src data:;\
    style-src 'unsafe-inline'\">\n<title>";

/// The most layers whose feature maps are seen at once.
const MOST_LAYERS: usize = 8;

pub(super) fn page(report: &Report) -> Result<String> {
    let title = match &*report.title {
        "" => "A training run",
        title => title,
    };
    let mut html = format!(
        "{HEAD}{0}</title>\n<style>\n{1}{2}</style></head>\n<body><main><header><h1>{0}</h1>{3}\
         </header>\n",
        escaped(title),
        include_str!("style.css"),
        include_str!("chart.css"),
        summary(report)
    );
    html += &charts(report);
    html += &facts(report);
    html += &matrix::sections(report)?;
    html += &mistakes(report)?;
    html += &inside(report)?;
    html += &epochs(report);
    let _ = writeln!(
        html,
        "<footer>Written by striate {}.</footer></main></body></html>",
        env!("CARGO_PKG_VERSION")
    );
    Ok(html)
}

/// Text as it stands in HTML and SVG, between tags and in attributes. What XML does not allow is
/// replaced.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\t' | '\n' => safe.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// How the run went, in a line and in numbers.
fn summary(report: &Report) -> String {
    let Some(last) = report.epochs.last() else {
        return "<p class=\"soft\">No epoch is done.</p>".to_owned();
    };
    let of = match report.run.epochs {
        0 => String::new(),
        epochs => format!(" of {epochs}"),
    };
    let how = match report.ended {
        Some(Ended::Done) => "Training is done",
        Some(Ended::Patience) => "Training ended early, as no epoch was better for long",
        Some(Ended::Stopped) => "Training was stopped",
        None => "Training goes on",
    };
    let mut html = format!("<p class=\"soft\">{how}: {}{of} epochs.", last.epoch);
    let chosen = report.chosen().unwrap_or(last);
    if chosen.best && report.epochs.len() > 1 {
        let _ = write!(
            html,
            " These numbers are of epoch {}, the best. It was chosen by them: on new images expect \
             a little less.",
            chosen.epoch
        );
        if let (Some(_), Some(left)) = (report.ended, report.left()) {
            let _ = write!(html, " Training left the network of {left}.");
        }
    }
    html.push_str("</p><dl class=\"numbers\">");
    let mut number = |name: &str, value: &str| {
        let _ = write!(
            html,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            escaped(name),
            escaped(value)
        );
    };
    let validated = |scalar: &&Scalar| !scalar.name.starts_with("train/");
    let mut shown: Vec<_> = chosen.scalars.iter().filter(validated).collect();
    if shown.is_empty() {
        shown = chosen.scalars.iter().collect();
    }
    shown.sort_by_key(|scalar| !scalar.is_share());
    for scalar in shown.into_iter().take(4) {
        number(&label(&scalar.name), &scalar.shown());
    }
    let seconds: f64 = report.epochs.iter().map(|epoch| epoch.seconds).sum();
    let images: usize = report.epochs.iter().map(|epoch| epoch.images).sum();
    number("training", &duration(seconds));
    if seconds > 0.0 {
        let rate = (images as f64 / seconds).round() as u64;
        number("images per second", &grouped(rate));
    }
    html + "</dl>"
}

/// `validation accuracy` of `val/accuracy`.
fn label(name: &str) -> String {
    let name = name.replace('_', " ");
    match name.split_once('/') {
        Some(("val", what)) => format!("validation {what}"),
        Some(("train", what)) => format!("training {what}"),
        Some((of, what)) => format!("{of} {what}"),
        None => name,
    }
}

fn charts(report: &Report) -> String {
    let charts = report.charts();
    if charts.is_empty() {
        return String::new();
    }
    let mut html = "<section><h2>Curves</h2><div class=\"charts\">".to_owned();
    let rows = most_rows(&charts);
    for (at, chart) in charts.iter().enumerate() {
        let _ = write!(
            html,
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{} by epoch\">{}\
             </svg>",
            height(rows),
            escaped(&chart.title),
            chart.draw(&format!("clip{at}"), rows)
        );
    }
    html.push_str("</div>");
    if charts
        .iter()
        .any(|chart| chart.series.iter().any(|series| !series.fine.is_empty()))
    {
        html.push_str(
            "<p class=\"note\">Faint lines are means over steps within epochs, bold ones over \
             epochs. Training is measured while parameters change, validation at an epoch\u{2019}s \
             end.</p>",
        );
    }
    html + "</section>\n"
}

fn facts(report: &Report) -> String {
    let facts: Vec<_> = report.run.facts.iter().chain(&report.facts).collect();
    if facts.is_empty() {
        return String::new();
    }
    let mut html = "<section><h2>The run</h2><dl class=\"facts\">".to_owned();
    for (name, value) in facts {
        let _ = write!(
            html,
            "<dt>{}</dt><dd>{}</dd>",
            escaped(name),
            escaped(value)
        );
    }
    html + "</dl></section>\n"
}

fn mistakes(report: &Report) -> Result<String> {
    if report.mistakes.is_empty() {
        return Ok(String::new());
    }
    let mut html = "<section><h2>The most certain mistakes</h2><p>Images that were taken for \
                    another class, with the probability that the network gives to its answer.</p>\
                    <div class=\"mistakes\">"
        .to_owned();
    for mistake in &report.mistakes {
        let [truth, answer] = [mistake.truth, mistake.answer].map(|c| report.class_name(c));
        let _ = write!(
            html,
            "<figure>{}<figcaption>{} \u{2192} <b>{}</b><span>{:.1} %</span></figcaption></figure>",
            mistake
                .picture
                .image(&format!("{truth}, taken for {answer}"))?,
            escaped(&truth),
            escaped(&answer),
            100.0 * mistake.probability
        );
    }
    Ok(html + "</div></section>\n")
}

/// Filters and feature maps.
fn inside(report: &Report) -> Result<String> {
    let mut html = String::new();
    if let Some(filters) = &report.filters {
        html += "<section><h2>Filters of the first layer</h2>";
        html += &panel(filters, "tiles filters")?;
        html += "</section>\n";
    }
    if report.maps.is_empty() {
        return Ok(html);
    }
    html += "<section><h2>What the layers make of a picture</h2>";
    if let Some((picture, class)) = &report.pictured {
        let name = report.class_name(*class);
        let _ = write!(
            html,
            "<div class=\"pictured\">{}<p>The picture, of class <b>{}</b>. Each layer has a scale \
             of its own, which all of its maps share.</p></div>",
            picture.image(&name)?,
            escaped(&name)
        );
    }
    let (first, rest) = report.maps.split_at(report.maps.len().min(MOST_LAYERS));
    for maps in first {
        html += &panel(maps, "tiles")?;
    }
    if !rest.is_empty() {
        let _ = write!(
            html,
            "<details><summary>{} more layers</summary>",
            rest.len()
        );
        for maps in rest {
            html += &panel(maps, "tiles")?;
        }
        html += "</details>";
    }
    Ok(html + "</section>\n")
}

fn panel(panel: &Panel, class: &str) -> Result<String> {
    let mut html = format!(
        "<div class=\"panel\"><h3>{}<small>{}</small></h3><div class=\"{class}\">",
        escaped(&panel.title),
        escaped(&panel.note)
    );
    for (at, picture) in panel.pictures.iter().enumerate() {
        html += &picture.image(&format!("{} {at}", panel.title))?;
    }
    Ok(html + "</div></div>")
}

/// All numbers, epoch by epoch.
fn epochs(report: &Report) -> String {
    if report.epochs.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for scalar in report.epochs.iter().flat_map(|epoch| &epoch.scalars) {
        if !names.contains(&&*scalar.name) {
            names.push(&scalar.name);
        }
    }
    let mut html = "<section><details><summary>All epochs in numbers</summary><div \
                    class=\"scroll\"><table class=\"plain\"><thead><tr><th>epoch</th>"
        .to_owned();
    let heads = names.iter().map(|name| label(name));
    for head in heads.chain(["learning rate", "seconds"].map(str::to_owned)) {
        let _ = write!(html, "<th class=\"number\">{}</th>", escaped(&head));
    }
    html += "</tr></thead><tbody>";
    let row = |epoch: &EpochRecord| {
        let mark = if epoch.best { " (best)" } else { "" };
        let mut row = format!("<tr><td>{}{mark}</td>", epoch.epoch);
        for name in &names {
            let found = epoch.scalars.iter().find(|scalar| scalar.name == *name);
            let shown = found.map(|scalar| scalar.shown()).unwrap_or_default();
            let _ = write!(row, "<td class=\"number\">{shown}</td>");
        }
        let (rate, seconds) = (digits(epoch.learning_rate), epoch.seconds);
        row + &format!(
            "<td class=\"number\">{rate}</td><td class=\"number\">{seconds:.1}</td></tr>"
        )
    };
    report.epochs.iter().for_each(|epoch| html += &row(epoch));
    html + "</tbody></table></div></details></section>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_harmless() {
        let evil = "</title><script>alert('x')</script>&\"\0";
        let safe = escaped(evil);
        assert!(!safe.contains(['<', '>', '"', '\'', '\0']), "{safe}");
        let mut report = Report::new(evil);
        report.facts.push((evil.to_owned(), evil.to_owned()));
        report.class_names = vec![evil.to_owned()];
        report.confusion = vec![1];
        let html = page(&report).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("http://") && !html.contains("https://"));
    }
}
