//! What was measured to be fastest on one adapter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Body, Caps, Tile};
use crate::error::{Error, ErrorKind, Result};

/// How a product is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Body of its kernels.
    pub body: Body,
    /// Their tile; by default the one that the rules choose.
    pub tile: Option<Tile>,
}

impl Choice {
    /// Every body that sums in `f32` what it was given, with every tile, those of the rules first:
    /// all that a table may name.
    pub fn all() -> impl Iterator<Item = Choice> {
        [Body::Registers, Body::Shared]
            .into_iter()
            .flat_map(Choice::of)
    }

    /// A body with every tile, those of the rules first.
    pub fn of(body: Body) -> impl Iterator<Item = Choice> {
        let tiles = std::iter::once(None).chain(Tile::ALL.map(Some));
        tiles.map(move |tile| Choice { body, tile })
    }

    /// Whether a choice of this name rounds factors to `f16`, which neither rules nor tables may.
    pub fn rounds(name: &str) -> bool {
        Choice::of(Body::Cooperative).any(|choice| choice.to_string() == name)
    }
}

/// As in a table: `registers`, `shared-large`.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.body {
            Body::Registers => "registers",
            Body::Shared => "shared",
            Body::Cooperative => "cooperative",
        })?;
        match self.tile {
            None => Ok(()),
            Some(Tile::Small) => f.write_str("-small"),
            Some(Tile::Medium) => f.write_str("-medium"),
            Some(Tile::Large) => f.write_str("-large"),
        }
    }
}

/// The choices of one adapter where they are better than those of the rules: see
/// [`tune`](crate::tune). Used through
/// [`GpuOptions::tuning`](crate::gpu::GpuOptions::tuning); its text can be kept in a file.
///
/// Kernels differ in the order of their sums, so that results with another table may differ in
/// their last bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// The adapter's name.
    pub adapter: String,
    /// The back end, in lower case.
    pub backend: String,
    /// By [`Op::product`](crate::graph::Op::product).
    pub choices: BTreeMap<String, Choice>,
}

const TITLE: &str = "striate tuning 2";

/// As `TITLE`, of texts without a last line.
const FIRST_TITLE: &str = "striate tuning 1";

/// The last line, by which a text that was cut off is told.
const END: &str = "end";

/// A title, the adapter, the back end, then a line for each choice, and a last one.
impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        writeln!(f, "adapter: {}", self.adapter)?;
        writeln!(f, "backend: {}", self.backend)?;
        for (product, choice) in &self.choices {
            writeln!(f, "{product}: {choice}")?;
        }
        writeln!(f, "{END}")
    }
}

/// The inverse of the text form; the error, of kind `Data`, names the line.
impl FromStr for Tuning {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut lines = (1..).zip(text.lines());
        let wrong = |line: usize, wanted: &str| {
            Error::new(
                ErrorKind::Data,
                format!("tuning, line {line}: {wanted} is expected"),
            )
        };
        let title = lines.next().map_or("", |(_, line)| line);
        if title != TITLE && title != FIRST_TITLE {
            return Err(wrong(1, &format!("\"{TITLE}\"")));
        }
        let mut ended = title == FIRST_TITLE;
        let mut header = |key: &str| {
            let (number, line) = lines.next().unwrap_or((text.lines().count() + 1, ""));
            let value = line.strip_prefix(key).and_then(|l| l.strip_prefix(": "));
            value
                .map(str::to_owned)
                .ok_or_else(|| wrong(number, &format!("\"{key}: \"")))
        };
        let (adapter, backend) = (header("adapter")?, header("backend")?);
        let mut choices = BTreeMap::new();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            if title == TITLE && ended {
                return Err(wrong(number, "nothing after the end"));
            }
            if title == TITLE && line == END {
                ended = true;
                continue;
            }
            let named = line.rsplit_once(": ").and_then(|(product, name)| {
                let choice = Choice::all().find(|choice| choice.to_string() == name)?;
                Some((product.to_owned(), choice))
            });
            let (product, choice) = named.ok_or_else(|| {
                let names: Vec<String> = Choice::all().map(|choice| choice.to_string()).collect();
                wrong(
                    number,
                    &format!("a product and one of {}", names.join(", ")),
                )
            })?;
            if choices.insert(product, choice).is_some() {
                return Err(wrong(number, "a product that was not named before"));
            }
        }
        if !ended {
            return Err(wrong(text.lines().count() + 1, &format!("\"{END}\"")));
        }
        Ok(Self {
            adapter,
            backend,
            choices,
        })
    }
}

impl Caps {
    /// With what the table, if there is one, says of `product`.
    pub fn tuned(&self, product: Option<&str>) -> Cow<'_, Caps> {
        let choices = self.tuning.as_ref().map(|tuning| &tuning.choices);
        match choices
            .zip(product)
            .and_then(|(choices, product)| choices.get(product))
        {
            Some(&Choice { body, tile }) => Cow::Owned(Caps {
                body,
                tile,
                ..self.clone()
            }),
            None => Cow::Borrowed(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gives_the_same_table() {
        let choices = Choice::all()
            .enumerate()
            .map(|(i, choice)| (format!("matmul nt {i}x7"), choice));
        let tuning = Tuning {
            adapter: "An adapter: 2".to_owned(),
            backend: "vulkan".to_owned(),
            choices: choices.collect(),
        };
        assert_eq!(
            tuning.to_string().parse::<Tuning>().expect("its own text"),
            tuning
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        for (text, line) in [
            ("", 1),
            ("striate tuning 3\n", 1),
            ("striate tuning 2\nadapter: a\nbackend: b\nx: shared\n", 5),
            (
                "striate tuning 2\nadapter: a\nbackend: b\nend\nx: shared\n",
                5,
            ),
            ("striate tuning 1\nadapter: a\nbackend: b\nend\n", 4),
            ("striate tuning 1\n", 2),
            ("striate tuning 1\nadapter: a\nback: b\n", 3),
            (
                "striate tuning 1\nadapter: a\nbackend: b\n\nmatmul nn 2x3: registers-huge\n",
                5,
            ),
            ("striate tuning 1\nadapter: a\nbackend: b\nregisters\n", 4),
            (
                "striate tuning 1\nadapter: a\nbackend: b\nx: shared\nx: shared\n",
                5,
            ),
            (
                "striate tuning 1\nadapter: a\nbackend: b\nx: cooperative\n",
                4,
            ),
        ] {
            let error = text.parse::<Tuning>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(
                error.to_string().contains(&format!("line {line}:")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_table_speaks_of_its_products_only() {
        let choice = Choice {
            body: Body::Registers,
            tile: Some(Tile::Medium),
        };
        let tuning = Tuning {
            adapter: String::new(),
            backend: String::new(),
            choices: [("matmul nn 2x3".to_owned(), choice)].into(),
        };
        let caps = Caps {
            tuning: Some(tuning.into()),
            ..Caps::default()
        };
        let tuned = caps.tuned(Some("matmul nn 2x3"));
        assert_eq!((tuned.body, tuned.tile), (choice.body, choice.tile));
        assert_eq!(*caps.tuned(Some("matmul nn 3x2")), caps);
        assert_eq!(*caps.tuned(None), caps);
    }
}
