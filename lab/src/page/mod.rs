//! The report: one page of HTML that needs nothing else.

mod bars;
pub mod lines;
pub mod merge;
mod roofline;

use std::path::PathBuf;

use lines::PEERS;
use merge::{Column, Lab, Measured, Regret, geometric_mean};
use striate::error::Result;

/// Merges the kernel bench's lines of several machines, and those of other libraries, into one page
#[derive(clap::Args)]
pub struct Args {
    /// JSON lines of `cargo bench --bench kernels -- --json FILE`; a name tells adapters of one
    /// name on several machines apart
    #[arg(value_name = "[NAME=]FILE", required = true)]
    files: Vec<PathBuf>,
    /// The page to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Writes the page.
///
/// # Errors
/// `Io` for a file that cannot be read or written, `Data` for a line that is none of the bench's.
pub fn run(args: &Args) -> Result<()> {
    let mut lines = Vec::new();
    for file in &args.files {
        lines.extend(lines::read(file)?);
    }
    let lab = Lab::new(lines);
    crate::write(&args.output, page(&lab).as_bytes())?;
    crate::say(format!(
        "{}: {} cases in {} columns",
        args.output.display(),
        lab.cases.len(),
        lab.columns.len()
    ))
}

/// Rows of the worst choices that are written out.
const WORST: usize = 8;

/// The page.
pub fn page(lab: &Lab) -> String {
    let sections = [
        ("adapters", "Adapters", adapters(lab)),
        ("rooflines", "Rooflines", roofline::figures(lab)),
        (
            "rules",
            "The rules' choice against the best variant",
            rules(lab),
        ),
        ("peers", "Other libraries", peers(lab)),
        ("cases", "Case by case", bars::cards(lab)),
        ("lines", "All lines", table(lab)),
    ];
    let sections: Vec<_> = sections
        .into_iter()
        .filter(|(.., text)| !text.is_empty())
        .collect();
    let links: String = sections
        .iter()
        .map(|(id, title, _)| {
            format!(
                "<a href=\"#{id}\">{}</a>",
                title.split(" against").next().unwrap_or(title)
            )
        })
        .collect();
    let chips: String = (0..)
        .zip(&lab.columns)
        .map(|(i, column)| {
            let (label, title) = (escape(&column.label), escape(&long_name(column)));
            format!(
                "<button class=\"chip c{}\" data-col=\"{i}\" aria-pressed=\"true\" \
            title=\"{title}\">{label}</button>",
                i % 8
            )
        })
        .collect();
    let body: String = sections
        .iter()
        .map(|(id, title, text)| format!("<section id=\"{id}\"><h2>{title}</h2>{text}</section>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n\
         <title>striate: shader \
         lab</title>\n<style>\n{}</style>\n</head>\n<body>\n<header>\n<h1>striate: shader \
         lab</h1>\n<p>{}</p>\n\
         <nav>{links}</nav>\n</header>\n<div class=\"bar\"><input id=\"filter\" type=\"search\" \
         placeholder=\"Filter: matmul 1024, conv2d dx, vulkan\" \
         aria-label=\"Filter cases\"><span id=\"found\"></span><div \
         class=\"chips\">{chips}</div></div>\n<main>\n{body}</main>\n\
         <div id=\"tip\" role=\"tooltip\" hidden></div>\n<script>\n{}</script>\n</body>\n</html>\n",
        include_str!("page.css"),
        summary(lab),
        include_str!("page.js"),
    )
}

/// Text as HTML has it, in attributes too.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A number with about three digits that count.
pub fn number(x: f64) -> String {
    if x == 0.0 || !(1e-6..1e15).contains(&x.abs()) {
        return format!("{x}");
    }
    let digits = (2.0 - x.abs().log10().floor()).max(0.0) as usize;
    format!("{x:.digits$}")
}

/// An amount with the prefix that keeps its number short.
pub fn amount(x: f64, unit: &str) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let found = prefixes.into_iter().find(|(size, _)| x >= *size);
    let (size, prefix) = found.unwrap_or((1.0, ""));
    format!("{} {prefix}{unit}", number(x / size))
}

pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Adapter, back end and driver in full.
pub fn long_name(column: &Column) -> String {
    let key = &column.key;
    let device = key.device();
    let parts = [&device, &key.backend, &key.driver].map(String::as_str);
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

fn summary(lab: &Lab) -> String {
    let mut dates: Vec<&String> = lab
        .columns
        .iter()
        .flat_map(|column| &column.dates)
        .collect();
    dates.sort();
    let days = match (dates.first(), dates.last()) {
        (Some(first), Some(last)) if first == last => format!(", measured on {first}"),
        (Some(first), Some(last)) => format!(", measured from {first} to {last}"),
        _ => String::new(),
    };
    let lines: usize = lab.columns.iter().map(|column| column.lines).sum();
    let replaced = match lab.replaced {
        0 => String::new(),
        1 => " One line was replaced by a later one.".to_owned(),
        n => format!(" {n} lines were replaced by later ones."),
    };
    format!(
        "{} cases, {} columns, {lines} lines{days}.{replaced}",
        lab.cases.len(),
        lab.columns.len()
    )
}

fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| escape(text.as_ref()))
        .collect();
    texts.join(", ")
}

fn adapters(lab: &Lab) -> String {
    let row = |(i, column): (usize, &Column)| {
        let peak = |rate: fn(&merge::Peak) -> f64| {
            column
                .peak
                .as_ref()
                .map_or("–".to_owned(), |p| number(rate(p)))
        };
        let library = column.key.peer.as_deref().unwrap_or("striate");
        let clock = match column.timestamps {
            Some(true) => "the device's",
            Some(false) => "the host's",
            None => "–",
        };
        let flags = [
            (column.key.checked, "checked"),
            (column.key.zeroed, "zeroed"),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(on, name)| on.then_some(name));
        format!(
            "<tr data-col=\"{i}\"><td><span class=\"dot \
             c{}\"></span>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{clock}</td><td \
             class=\"n\">{}</td><td>{}</td></tr>",
            i % 8,
            escape(&column.key.device()),
            escape(&column.key.backend),
            escape(&column.key.driver),
            list([format!("{library} {}", list(&column.versions))
                .trim()
                .to_owned()]),
            list(flags),
            peak(|p| p.gflops),
            peak(|p| p.gbps),
            column.lines,
            list(&column.dates),
        )
    };
    let rows: String = lab.columns.iter().enumerate().map(row).collect();
    format!(
        "<div class=\"scroll\"><table><thead><tr><th>Adapter</th><th>Back \
         end</th><th>Driver</th><th>Library</th><th>Switches</th>\
         <th class=\"n\">Peak GFLOP/s</th><th class=\"n\">Peak GB/s</th><th>Clock</th><th \
         class=\"n\">Lines</th><th>Dates</th></tr></thead>\
         <tbody>{rows}</tbody></table></div><p class=\"note below\">Peaks are the highest that \
         the runs measured: multiply-adds that touch no memory, \
         and a copy.</p>"
    )
}

/// The columns that are not other libraries.
fn own_columns(lab: &Lab) -> impl Iterator<Item = usize> {
    (0..lab.columns.len()).filter(|&i| lab.columns[i].key.peer.is_none())
}

fn rules(lab: &Lab) -> String {
    let cards: String = own_columns(lab).filter_map(|i| rules_of(lab, i)).collect();
    match cards.is_empty() {
        true => String::new(),
        false => format!(
            "<p class=\"note\">Regret is the time of the variant that the rules choose by the \
             time of the fastest one: 1 is best. Cases of which \
             one variant alone was measured are left out.</p><div class=\"grid\">{cards}</div>"
        ),
    }
}

/// One column's choices, unless there was nothing to choose.
fn rules_of(lab: &Lab, column: usize) -> Option<String> {
    let regrets = lab.regrets(column);
    let mean = geometric_mean(regrets.iter().map(Regret::ratio))?;
    let worst = regrets.first()?;
    let right = regrets
        .iter()
        .filter(|regret| regret.ratio() <= 1.0)
        .count();
    let row = |regret: &Regret| {
        format!(
            "<tr data-case=\"{case}\"><td>{case}</td><td class=\"n\">{:.2}×</td><td>{}</td><td \
             class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            regret.ratio(),
            escape(&regret.chosen.variant),
            number(regret.chosen.ms),
            escape(&regret.best.variant),
            number(regret.best.ms),
            case = escape(regret.case),
        )
    };
    let rows: String = regrets
        .iter()
        .filter(|regret| regret.ratio() > 1.0)
        .take(WORST)
        .map(row)
        .collect();
    let rows = match rows.is_empty() {
        true => "<p class=\"note\">Every choice is the fastest variant.</p>".to_owned(),
        false => format!(
            "{}<div class=\"scroll\"><table><thead><tr><th>Case</th><th \
             class=\"n\">Regret</th><th>Choice</th><th class=\"n\">ms</th><th>Best</th>\
             <th class=\"n\">ms</th></tr></thead><tbody>{rows}</tbody></table></div>",
            bars::regrets(&regrets, column),
        ),
    };
    Some(format!(
        "<article class=\"card\" data-col=\"{column}\"><h3><span class=\"dot \
         c{}\"></span>{}</h3><dl class=\"figures\">\
         <div><dt>Geometric mean</dt><dd>{mean:.3}×</dd></div>\
         <div><dt>Worst</dt><dd>{:.2}×</dd></div>\
         <div><dt>Best variant chosen</dt><dd>{right} of {}</dd></div></dl>{rows}</article>",
        column % 8,
        escape(&lab.columns[column].label),
        worst.ratio(),
        regrets.len(),
    ))
}

fn peers(lab: &Lab) -> String {
    let mut rows = String::new();
    let own: Vec<usize> = own_columns(lab).collect();
    let peers: Vec<usize> = (0..lab.columns.len())
        .filter(|i| !own.contains(i))
        .collect();
    let device = |i: usize| lab.columns[i].key.device();
    let pairs = peers
        .iter()
        .flat_map(|&peer| own.iter().map(move |&own| (own, peer)));
    for (own, peer) in pairs {
        // On another adapter only where it has nothing of ours beside it, as a library on the CPU.
        let beside = own_columns(lab).any(|i| device(i) == device(peer));
        let machines = [own, peer].map(|i| lab.columns[i].key.machine.as_str());
        let apart = machines[0] != machines[1] && !machines.contains(&"");
        if apart || beside && device(own) != device(peer) {
            continue;
        }
        let mut ratios = lab.against(own, peer);
        ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
        let Some(mean) = geometric_mean(ratios.iter().map(|(_, ratio)| *ratio)) else {
            continue;
        };
        let end = |at: Option<&(&str, f64)>| {
            at.map_or(String::new(), |(case, ratio)| {
                format!("{}× <small>{}</small>", number(*ratio), escape(case))
            })
        };
        let ahead = ratios.iter().filter(|(_, ratio)| *ratio > 1.0).count();
        let name = |i: usize| {
            format!(
                "<span class=\"dot c{}\"></span>{}",
                i % 8,
                escape(&lab.columns[i].label)
            )
        };
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}×</td><td \
             class=\"n\">{ahead}</td><td>{}</td><td>{}</td></tr>",
            name(peer),
            name(own),
            ratios.len(),
            number(mean),
            end(ratios.first()),
            end(ratios.last()),
        ));
    }
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "<p class=\"note\">How many times longer the other library takes for the same case; \
             above 1 striate is ahead. The names {} \
             in a line's <code>variant</code> are taken as other libraries.</p><div \
             class=\"scroll\"><table><thead><tr><th>Library</th>\
             <th>striate on</th><th class=\"n\">Cases</th><th class=\"n\">Geometric mean</th><th \
             class=\"n\">Ahead in</th><th>Least</th>\
             <th>Most</th></tr></thead><tbody>{rows}</tbody></table></div>",
            PEERS.join(" and "),
        ),
    }
}

fn table(lab: &Lab) -> String {
    let cell = |value: Option<f64>, text: fn(f64) -> String| match value {
        Some(x) => format!("<td class=\"n\" data-v=\"{x}\">{}</td>", text(x)),
        None => "<td class=\"n\" data-v=\"\">–</td>".to_owned(),
    };
    let row = |case: &str, (i, column): (usize, &Column), m: &Measured| {
        let error = match &m.wrong {
            Some(wrong) => format!(
                "<td class=\"n wrong\" data-v=\"Infinity\" title=\"{}\">wrong</td>",
                escape(wrong)
            ),
            None => cell(m.error, |x| format!("{x:.2}")),
        };
        format!(
            "<tr data-case=\"{case}\" data-col=\"{i}\"{}><td>{case}</td><td><span class=\"dot \
             c{}\"></span>{}</td><td>{}{}</td>{}{}{}{}{error}<td>{}</td></tr>",
            if m.chosen { " class=\"chosen\"" } else { "" },
            i % 8,
            escape(&column.label),
            escape(&m.variant),
            if m.chosen { " ★" } else { "" },
            cell(Some(m.ms), number),
            cell(m.gflops, number),
            cell(m.gbps, number),
            cell(m.roofline, percent),
            escape(m.date.as_deref().unwrap_or("–")),
            case = escape(case),
        )
    };
    let mut rows = String::new();
    for case in &lab.cases {
        for (column, cell) in lab.columns.iter().enumerate().zip(&case.cells) {
            rows.extend(cell.iter().map(|m| row(&case.name, column, m)));
        }
    }
    let heads: String = [
        ("Case", false),
        ("Adapter", false),
        ("Variant", false),
        ("ms", true),
        ("GFLOP/s", true),
        ("GB/s", true),
        ("Roofline", true),
        ("Error", true),
        ("Date", false),
    ]
    .map(|(name, numeric)| {
        format!(
            "<th{}><button>{name}</button></th>",
            if numeric { " class=\"n\"" } else { "" }
        )
    })
    .concat();
    format!(
        "<p class=\"note\">A click on a heading sorts. ★ is what the rules choose there. The \
         error is the largest one, in units of its bound.</p>\
         <label class=\"note\"><input type=\"checkbox\" id=\"chosen\"> only what the rules \
         choose</label>\
         <div class=\"scroll\"><table \
         class=\"sortable\"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}
