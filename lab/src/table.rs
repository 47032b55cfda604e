//! The table of ops in `docs/ops.md`, made from the table of cases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use striate::check::Bound;
use striate_cases::{NETWORK, cases, ops_of};

/// Between these lines of the file stands the table.
const BEGIN: &str =
    "<!-- The table is made by `cargo run --release -p striate-lab -- verify --docs`. -->";
const END: &str = "<!-- End of the table. -->";

/// The file that holds the table.
pub fn path() -> PathBuf {
    crate::root().join("docs/ops.md")
}

/// `text` with the table as the cases say; `None` if the lines around it are missing.
pub fn renewed(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n{END}{after}", table()))
}

/// What the cases of one op say together.
#[derive(Default)]
struct Row {
    cases: usize,
    /// The ops that all of them have.
    made_of: Option<BTreeSet<String>>,
    /// Whether the name is an op's.
    is_op: bool,
    /// Whether some have NaN and infinities among the operands, and among the gradients of the
    /// outputs.
    special: [bool; 2],
    ranks: BTreeSet<usize>,
    forward: Exactness,
    gradients: BTreeSet<usize>,
    backward: Exactness,
    linear: usize,
}

/// The widest bound of each kind.
#[derive(Default)]
struct Exactness {
    exact: bool,
    sum: bool,
    ulp: Option<f64>,
    norm: Option<f64>,
    /// Cases that must give the reference's bits on integers too.
    integers: bool,
}

impl Exactness {
    fn add(&mut self, bound: Bound, integers: bool) {
        let widest = |old: Option<f64>, new: f64| Some(old.map_or(new, |old| old.max(new)));
        match bound {
            Bound::Exact => self.exact = true,
            Bound::Sum { .. } | Bound::HalfSum { .. } => self.sum = true,
            Bound::Ulp(n) => self.ulp = widest(self.ulp, n),
            Bound::Norm(n) => self.norm = widest(self.norm, n),
        }
        self.integers |= integers && bound != Bound::Exact;
    }

    fn text(&self) -> String {
        let mut texts = Vec::new();
        if self.exact {
            texts.push("exact".to_owned());
        }
        if self.sum {
            texts.push("sum".to_owned());
        }
        if let Some(n) = self.ulp {
            texts.push(format!("{n} ULP"));
        }
        if let Some(n) = self.norm {
            texts.push(format!("{} of max", one_digit(n)));
        }
        if self.integers {
            texts.push("integers exact".to_owned());
        }
        texts.join(", ")
    }
}

/// `n` with one digit, rounded up: a bound is not stated tighter than it is.
fn one_digit(n: f64) -> String {
    let text = format!("{n:e}");
    let digits = text.split_once('.').zip(text.split_once('e'));
    let Some(((first, _), (_, exponent))) = digits else {
        return text;
    };
    let above = first.parse::<u32>().map_or(10, |digit| digit + 1);
    match above {
        10 => format!("1e{}", exponent.parse::<i32>().map_or(0, |e| e + 1)),
        digit => format!("{digit}e{exponent}"),
    }
}

fn table() -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let cases = cases().into_iter();
    for case in cases.filter(|case| case.op() != NETWORK) {
        let row = rows.entry(case.op().to_owned()).or_default();
        row.cases += 1;
        let ops = ops_of(&case);
        row.is_op |= ops.contains(case.op());
        row.made_of = Some(match row.made_of.take() {
            None => ops,
            Some(known) => known.intersection(&ops).cloned().collect(),
        });
        let special = case.is_special();
        row.special = [0, 1].map(|i| row.special[i] || special[i]);
        row.ranks
            .extend(case.inputs.first().map(|x| x.ty.shape.len()));
        row.forward.add(case.bound, case.integers);
        if !case.wrt.is_empty() {
            row.gradients.extend(&case.wrt);
            row.backward.add(case.gradient_bound, case.integers);
        }
        row.linear += usize::from(case.linear);
    }
    let mut text = String::from(
        "| Op | Cases | Axes | Forward | Gradient of operand | Gradient | Reference held by | \
         NaN, Inf |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (op, row) in rows {
        let list = |numbers: &BTreeSet<usize>| {
            let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        let held = match (row.gradients.is_empty(), row.linear) {
            (true, _) => "",
            (false, 0) => "differences",
            (false, _) => "differences, adjoint",
        };
        let made_of = row.made_of.unwrap_or_default();
        let made_of = match row.is_op {
            true => String::new(),
            false => format!(" ({})", made_of.into_iter().collect::<Vec<_>>().join(", ")),
        };
        text += &format!(
            "| `{op}`{made_of} | {} | {} | {} | {} | {} | {held} | {} |\n",
            row.cases,
            list(&row.ranks),
            row.forward.text(),
            list(&row.gradients),
            row.backward.text(),
            match row.special {
                [false, false] => "",
                [true, false] => "operands",
                [false, true] => "dy",
                [true, true] => "operands, dy",
            },
        );
    }
    text
}
