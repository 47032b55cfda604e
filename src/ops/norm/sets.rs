//! Which elements of x one normalisation takes together, and which weight each of them has: the map
//! that shape rules, references and lowering share.

use crate::error::{Error, Result};
use crate::kernel::Part;
use crate::ops::expect_f32;
use crate::shape::{Shape, Type};

/// Which elements of x share a mean and a variance, and which share a weight and a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// x `[n, c, ...]`: those of a channel over the whole batch; a weight for each channel.
    /// Statistics `[c, 2]`.
    Batch,
    /// x `[n, c, ...]`: those of each of this many groups of channels of an image; a weight for
    /// each channel. Statistics `[n, groups, 2]`.
    Groups(usize),
    /// x `[n, c, ...]`: those of each channel of an image; a weight for each channel. Statistics
    /// `[n, c, 2]`.
    Instance,
    /// Those of the last so many axes; a weight for each of them. Statistics `[leading axes, 2]`.
    Last(usize),
}

/// What the statistics of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moments {
    /// Mean and biased variance.
    MeanVariance,
    /// 0 and the mean square.
    MeanSquare,
}

impl Over {
    /// What the normalisation of such sets by these moments is called.
    pub(super) fn op(self, moments: Option<Moments>) -> &'static str {
        match (self, moments) {
            (Over::Batch, _) => "batch_norm",
            (Over::Groups(_), _) => "group_norm",
            (Over::Instance, _) => "instance_norm",
            (Over::Last(_), Some(Moments::MeanSquare)) => "rms_norm",
            (Over::Last(_), _) => "layer_norm",
        }
    }

    /// Whether a set of x has elements of several rows (axis 0).
    pub(super) fn mixes_rows(self, x: &Type) -> bool {
        match self {
            Self::Batch => true,
            Self::Groups(_) | Self::Instance => false,
            Self::Last(axes) => axes >= x.shape.len(),
        }
    }
}

/// The sets of x and the weights of its elements, as numbers: x is rows (axis 0), a row is
/// `per_row` runs of `length` neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetMap {
    /// Rows of x: 1 if a set holds all of axis 0 and more.
    pub rows: usize,
    /// Whether the runs of one place in all rows are one set; if not, each run is a set.
    pub across: bool,
    /// Runs of a row.
    pub per_row: usize,
    /// Elements of a run.
    pub length: usize,
    /// Neighbours that have one weight.
    pub span: usize,
    /// Number of weights.
    pub affines: usize,
    /// Shape of the statistics.
    pub statistics: Shape,
    /// Shape of weight and bias.
    pub affine: Shape,
}

impl SetMap {
    pub fn new(op: &str, over: Over, x: &Type) -> Result<Self> {
        expect_f32(op, "x", x)?;
        x.check().map_err(|e| e.context(op))?;
        let rank = x.shape.len();
        let product = |axes: &[usize]| axes.iter().product::<usize>();
        let pairs = |axes: &[usize]| Shape::from([axes, &[2]].concat());
        let images = || match x.shape[..] {
            [n, c, ..] => Ok([n, c, product(&x.shape[2..])]),
            _ => Err(Error::shape(format!(
                "{op}: x {} is not [batch, channels, ...]",
                x.shape
            ))),
        };
        Ok(match over {
            Over::Batch => {
                let [rows, channels, plane] = images()?;
                Self {
                    rows,
                    across: true,
                    per_row: channels,
                    length: plane,
                    span: plane,
                    affines: channels,
                    statistics: pairs(&[channels]),
                    affine: [channels].into(),
                }
            }
            Over::Groups(_) | Over::Instance => {
                let [rows, channels, plane] = images()?;
                let groups = match over {
                    Over::Groups(groups) => groups,
                    _ => channels,
                };
                if over != Over::Instance && (groups == 0 || !channels.is_multiple_of(groups)) {
                    return Err(Error::shape(format!(
                        "{op}: {channels} channels of x {} do not divide into {groups} groups",
                        x.shape
                    )));
                }
                Self {
                    rows,
                    across: false,
                    per_row: groups,
                    length: channels / groups.max(1) * plane,
                    span: plane,
                    affines: channels,
                    statistics: pairs(&[rows, groups]),
                    affine: [channels].into(),
                }
            }
            Over::Last(axes) => {
                if axes == 0 || axes > rank {
                    return Err(Error::shape(format!(
                        "{op}: {axes} last axes of x {} cannot be normalised",
                        x.shape
                    )));
                }
                let (leading, last) = x.shape.split_at(rank - axes);
                Self {
                    rows: leading.first().copied().unwrap_or(1),
                    across: false,
                    per_row: product(leading.get(1..).unwrap_or_default()),
                    length: product(last),
                    span: 1,
                    affines: product(last),
                    statistics: pairs(leading),
                    affine: last.into(),
                }
            }
        })
    }

    /// Elements of a row.
    pub fn row(&self) -> usize {
        self.per_row * self.length
    }

    /// Whether a set holds all of x, whatever its axis 0.
    pub fn is_one_set(&self) -> bool {
        self.statistics.len() == 1
    }

    /// The same sets for x in these parts: one set that holds all of it goes across the rows of
    /// several.
    pub fn in_parts(&self, x: &Type, parts: &[Part]) -> Self {
        if !self.is_one_set() || parts.len() < 2 {
            return self.clone();
        }
        Self {
            rows: x.shape.rows(),
            across: true,
            length: x.row(),
            ..self.clone()
        }
    }

    /// The same sets where there is neither weight nor bias: any few numbers do, of a count that
    /// suits loads of four.
    pub fn without_affine(&self) -> Self {
        let (span, affines) = match self.length > 0 && self.length.is_multiple_of(4) {
            true => (self.length, 1),
            false => (1, 4),
        };
        Self {
            span,
            affines,
            ..self.clone()
        }
    }

    /// Number of sets.
    pub fn sets(&self) -> usize {
        self.per_row * if self.across { 1 } else { self.rows }
    }

    /// Elements of a set.
    pub fn set_count(&self) -> usize {
        self.length * if self.across { self.rows } else { 1 }
    }

    /// The set of element `i`.
    pub fn set(&self, i: usize) -> usize {
        i / self.length % self.sets()
    }

    /// The number of the weight of element `i`.
    pub fn affine(&self, i: usize) -> usize {
        i / self.span % self.affines
    }
}

/// The sets of an x that a shape rule accepted.
pub(super) fn map_of(over: Over, x: &Type) -> SetMap {
    SetMap::new("normalisation", over, x).expect("infer accepted x")
}
