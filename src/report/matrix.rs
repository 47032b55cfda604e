//! What was taken for what: the matrix of confusion, and how well each class is known.

use std::fmt::Write;

use super::Report;
use super::page::escaped;
use super::png::{Colour, address, png};
use crate::error::{Error, Result};
use crate::models::grouped;

/// The most classes whose matrix is a table; of more it is a picture.
const MOST_ROWS: usize = 30;

/// The most frequent mistakes that are listed beside a picture.
const LISTED: usize = 15;

/// Counts of confusion, known to be a square.
struct Counts<'a> {
    classes: usize,
    counts: &'a [u32],
}

impl<'a> Counts<'a> {
    fn new(counts: &'a [u32]) -> Result<Self> {
        let classes = counts.len().isqrt();
        if classes * classes != counts.len() {
            return Err(Error::shape(format!(
                "{} counts of confusion are not classes by classes",
                counts.len()
            )));
        }
        Ok(Self { classes, counts })
    }

    fn at(&self, truth: usize, answer: usize) -> u64 {
        self.counts[truth * self.classes + answer].into()
    }

    fn row(&self, truth: usize) -> u64 {
        (0..self.classes).map(|answer| self.at(truth, answer)).sum()
    }

    fn column(&self, answer: usize) -> u64 {
        (0..self.classes).map(|truth| self.at(truth, answer)).sum()
    }

    /// Mistakes, the most frequent first: how often, truth, answer.
    fn mistakes(&self) -> Vec<(u64, usize, usize)> {
        let pairs = (0..self.classes).flat_map(|t| (0..self.classes).map(move |a| (t, a)));
        let wrong = pairs.filter(|(truth, answer)| truth != answer);
        let mut found: Vec<_> = wrong.map(|(t, a)| (self.at(t, a), t, a)).collect();
        found.retain(|mistake| mistake.0 > 0);
        found.sort_by_key(|&(count, truth, answer)| (u64::MAX - count, truth, answer));
        found
    }
}

/// The sections on classes; nothing if nothing was counted.
pub(super) fn sections(report: &Report) -> Result<String> {
    let counts = Counts::new(&report.confusion)?;
    if counts.classes == 0 {
        return Ok(String::new());
    }
    let all: u64 = (0..counts.classes).map(|truth| counts.row(truth)).sum();
    let right: u64 = (0..counts.classes)
        .map(|class| counts.at(class, class))
        .sum();
    let network = match report.left() {
        None => "The network that was examined".to_owned(),
        Some(left) => format!("The network of {left}, was examined after training. It"),
    };
    let mut html = format!(
        "<section><h2>What was taken for what</h2><p>{network} \
         is right on {} of {} images ({}). Rows are the classes that they have, columns what they \
         were taken for.</p>",
        grouped(right),
        grouped(all),
        percent(right, all)
    );
    match counts.classes <= MOST_ROWS {
        true => table(report, &counts, &mut html),
        false => picture(report, &counts, &mut html)?,
    }
    html.push_str("</section>");
    classes(report, &counts, &mut html);
    Ok(html)
}

fn percent(part: u64, all: u64) -> String {
    match all {
        0 => "\u{2013}".to_owned(),
        _ => format!("{:.2} %", 100.0 * part as f64 / all as f64),
    }
}

fn table(report: &Report, counts: &Counts<'_>, html: &mut String) {
    let names: Vec<String> = (0..counts.classes)
        .map(|class| report.class_name(class))
        .collect();
    let long = names.iter().any(|name| name.chars().count() > 3);
    let most = counts.mistakes().first().map_or(1, |&(count, ..)| count);
    let class = if long { " class=\"long\"" } else { "" };
    let _ = write!(
        html,
        "<div class=\"scroll\"><table class=\"matrix\"><thead><tr{class}><th></th>"
    );
    for name in &names {
        let _ = write!(
            html,
            "<th scope=\"col\"><span>{}</span></th>",
            escaped(name)
        );
    }
    html.push_str("<th scope=\"col\" class=\"sum\"><span>all</span></th></tr></thead><tbody>");
    for (truth, name) in names.iter().enumerate() {
        let row = counts.row(truth);
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escaped(name));
        for (answer, other) in names.iter().enumerate() {
            let count = counts.at(truth, answer);
            // Right ones by their share of the row, wrong ones by the most frequent mistake.
            let (class, of) = if truth == answer {
                ("yes", row)
            } else {
                ("no", most)
            };
            if count == 0 {
                html.push_str("<td class=\"none\">\u{b7}</td>");
                continue;
            }
            let shade = 0.1 + 0.42 * (count as f64 / of.max(1) as f64);
            let _ = write!(
                html,
                "<td class=\"{class}\" style=\"--a:{shade:.2}\" title=\"{} of {} ({}): \
                 {} taken for {}\">{}</td>",
                grouped(count),
                grouped(row),
                percent(count, row),
                escaped(name),
                escaped(other),
                grouped(count)
            );
        }
        let _ = write!(html, "<td class=\"sum\">{}</td></tr>", grouped(row));
    }
    html.push_str("</tbody><tfoot><tr><th scope=\"row\">all</th>");
    for answer in 0..counts.classes {
        let _ = write!(
            html,
            "<td class=\"sum\">{}</td>",
            grouped(counts.column(answer))
        );
    }
    let all: u64 = (0..counts.classes).map(|truth| counts.row(truth)).sum();
    let _ = write!(
        html,
        "<td class=\"sum\">{}</td></tr></tfoot></table></div><p class=\"soft\"><span \
         class=\"keyed\"><i class=\"key yes\"></i> right, deeper with the share of the row</span> \
         <span class=\"keyed\"><i class=\"key no\"></i> wrong, deepest at the most frequent \
         mistake ({})</span></p>",
        grouped(all),
        grouped(most)
    );
}

/// A pixel for each count, deeper with the logarithm of its share of the row.
fn picture(report: &Report, counts: &Counts<'_>, html: &mut String) -> Result<()> {
    /// Shares below this are as faint as it is.
    const FAINTEST: f64 = 1e-3;
    let classes = counts.classes;
    let mut pixels = Vec::with_capacity(4 * classes * classes);
    for truth in 0..classes {
        let row = counts.row(truth).max(1) as f64;
        for answer in 0..classes {
            let share = counts.at(truth, answer) as f64 / row;
            let depth = 1.0 - share.max(FAINTEST).log10() / FAINTEST.log10();
            let alpha = if share > 0.0 {
                55.0 + 200.0 * depth
            } else {
                0.0
            };
            let colour = if truth == answer {
                [47, 120, 220]
            } else {
                [208, 84, 24]
            };
            pixels.extend(colour);
            pixels.push(alpha as u8);
        }
    }
    let png = png(&pixels, [classes, classes], Colour::Rgba)?;
    let _ = write!(
        html,
        "<div class=\"wide\"><figure class=\"matrix-picture\"><img alt=\"{classes} by {classes} \
         counts\" width=\"{classes}\" height=\"{classes}\" src=\"{}\"><figcaption><i \
         class=\"key yes\"></i> right <i class=\"key no\"></i> wrong; deeper with the \
         logarithm of the share of the row, from 0.1 % to 100 %</figcaption></figure>",
        address(&png)
    );
    let mistakes = counts.mistakes();
    if !mistakes.is_empty() {
        html.push_str(
            "<div><h3>Most frequent mistakes</h3><table class=\"plain\"><thead><tr><th>is</th>\
             <th>taken for</th><th class=\"number\">times</th><th class=\"number\">of the class\
             </th></tr></thead><tbody>",
        );
        for &(count, truth, answer) in mistakes.iter().take(LISTED) {
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td \
                 class=\"number\">{}</td></tr>",
                escaped(&report.class_name(truth)),
                escaped(&report.class_name(answer)),
                grouped(count),
                percent(count, counts.row(truth))
            );
        }
        html.push_str("</tbody></table></div>");
    }
    html.push_str("</div>");
    Ok(())
}

/// Precision and recall of each class.
fn classes(report: &Report, counts: &Counts<'_>, html: &mut String) {
    let many = counts.classes > MOST_ROWS;
    let mut order: Vec<usize> = (0..counts.classes).collect();
    html.push_str("<section><h2>Each class</h2>");
    if many {
        // 0 / 0 has another sign on each machine: classes without images come last.
        let recall = |class: usize| match counts.row(class) {
            0 => f64::INFINITY,
            row => counts.at(class, class) as f64 / row as f64,
        };
        order.sort_by(|&a, &b| recall(a).total_cmp(&recall(b)).then(a.cmp(&b)));
        html.push_str(
            "<details><summary>Precision and recall, the least known classes first</summary>",
        );
    }
    html.push_str(
        "<div class=\"scroll\"><table class=\"plain\"><thead><tr><th>class</th><th \
         class=\"number\">images</th><th class=\"number\">recall</th><th class=\"bar\"></th><th \
         class=\"number\">precision</th><th class=\"bar\"></th></tr></thead><tbody>",
    );
    for class in order {
        let right = counts.at(class, class);
        let (row, column) = (counts.row(class), counts.column(class));
        let _ = write!(
            html,
            "<tr><td>{}</td><td class=\"number\">{}</td>",
            escaped(&report.class_name(class)),
            grouped(row)
        );
        for all in [row, column] {
            let share = 100.0 * right as f64 / all.max(1) as f64;
            let _ = write!(
                html,
                "<td class=\"number\">{}</td><td class=\"bar\"><i style=\"width:{share:.1}%\">\
                 </i></td>",
                percent(right, all)
            );
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    if many {
        html.push_str("</details>");
    }
    html.push_str(
        "<p class=\"soft\">Recall: the share of a class\u{2019}s images that is found. Precision: \
         the share of what is taken for it that is of it.</p></section>",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn counts_add_up() {
        let report = Report {
            class_names: vec!["<cat>".into(), "dog".into()],
            confusion: vec![9, 1, 2, 8],
            ..Report::default()
        };
        let html = sections(&report).unwrap();
        for part in [
            "is right on 17 of 20 images (85.00 %)",
            "<th scope=\"row\">&lt;cat&gt;</th>",
            "1 of 10 (10.00 %): &lt;cat&gt; taken for dog",
            "<td class=\"number\">90.00 %</td>",
            "<td class=\"number\">81.82 %</td>",
            "<td class=\"number\">88.89 %</td>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<cat>"));
        assert_eq!(sections(&Report::default()).unwrap(), "");
        let odd = Report {
            confusion: vec![1; 5],
            ..Report::default()
        };
        assert_eq!(sections(&odd).unwrap_err().kind(), ErrorKind::Shape);
    }

    #[test]
    fn many_classes_are_a_picture() {
        let classes = 40;
        let mut confusion = vec![0; classes * classes];
        for class in 0..classes {
            confusion[class * classes + class] = 90;
        }
        confusion[3 * classes + 7] = 10;
        let report = Report {
            confusion,
            ..Report::default()
        };
        let html = sections(&report).unwrap();
        assert!(html.contains("data:image/png;base64,") && !html.contains("class=\"matrix\""));
        let listed = "<tr><td>3</td><td>7</td><td class=\"number\">10</td><td \
                      class=\"number\">10.00 %</td></tr>";
        assert!(html.contains(listed), "{html}");
    }
}
