//! Axes by number, from the first one on or from the last one backwards.

use std::fmt;

use crate::error::{Error, Result};
use crate::shape::Shape;

/// An axis by its number: 0, 1, ... from the first one on, or -1, -2, ... from the last one
/// backwards, as PyTorch's `dim`. Builders take it as any integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dim(i64);

impl Dim {
    /// No axes, where a list of them is asked for: of what integers an empty one is, Rust cannot
    /// tell.
    ///
    /// ```
    /// use striate::graph::Graph;
    /// use striate::ops::Dim;
    ///
    /// let mut g = Graph::new();
    /// let x = g.fill([2, 3], 1.0)?;
    /// let y = g.sum(x, Dim::NONE, false)?;
    /// assert_eq!(g.shape(y)?, g.shape(x)?);
    /// # Ok::<(), striate::error::Error>(())
    /// ```
    pub const NONE: &'static [Dim] = &[];
}

impl From<i32> for Dim {
    fn from(number: i32) -> Self {
        Dim(number.into())
    }
}

impl From<i64> for Dim {
    fn from(number: i64) -> Self {
        Dim(number)
    }
}

impl From<isize> for Dim {
    fn from(number: isize) -> Self {
        Dim(number as i64)
    }
}

impl From<usize> for Dim {
    fn from(number: usize) -> Self {
        Dim(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of the axis of `shape` that `dim` names.
///
/// # Errors
/// `Shape` if there is no such axis.
pub(super) fn axis(op: &str, shape: &Shape, dim: impl Into<Dim>) -> Result<usize> {
    let dim = dim.into();
    let rank = shape.len() as i64;
    let number = match dim.0 {
        back @ ..0 => back.saturating_add(rank),
        number => number,
    };
    if (0..rank).contains(&number) {
        return Ok(number as usize);
    }
    Err(Error::shape(format!("{op}: {shape} has no axis {dim}")))
}

/// The numbers of the axes of `shape` that `dims` name, in their order.
///
/// # Errors
/// `Shape` if there is no such axis, or if one is named twice.
pub(super) fn axes(op: &str, shape: &Shape, dims: &[impl Into<Dim> + Copy]) -> Result<Vec<usize>> {
    let mut axes = Vec::with_capacity(dims.len());
    for &dim in dims {
        let axis = axis(op, shape, dim)?;
        if axes.contains(&axis) {
            return Err(Error::shape(format!(
                "{op}: axis {axis} of {shape} is named twice"
            )));
        }
        axes.push(axis);
    }
    Ok(axes)
}

/// The same, ascending.
pub(super) fn sorted(
    op: &str,
    shape: &Shape,
    dims: &[impl Into<Dim> + Copy],
) -> Result<Vec<usize>> {
    let mut axes = axes(op, shape, dims)?;
    axes.sort_unstable();
    Ok(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_either_end() {
        let shape = Shape::from([2, 3, 5]);
        let found = [-3, -2, -1, 0, 1, 2].map(|dim| axis("op", &shape, dim).unwrap());
        assert_eq!(found, [0, 1, 2, 0, 1, 2]);
        assert_eq!(axes("op", &shape, &[-1, 0]).unwrap(), [2, 0]);
        assert_eq!(sorted("op", &shape, &[-1, 0]).unwrap(), [0, 2]);
        let message = |result: Result<usize>| result.unwrap_err().to_string();
        assert_eq!(
            message(axis("op", &shape, 3)),
            "op: [2, 3, 5] has no axis 3"
        );
        assert_eq!(
            message(axis("op", &shape, -4)),
            "op: [2, 3, 5] has no axis -4"
        );
        for far in [i64::MIN, i64::MAX] {
            axis("op", &shape, far).unwrap_err();
        }
        axis("op", &shape, usize::MAX).unwrap_err();
        axis("op", &Shape::from([]), -1).unwrap_err();
        assert_eq!(
            axes("op", &shape, &[1, -2]).unwrap_err().to_string(),
            "op: axis 1 of [2, 3, 5] is named twice"
        );
    }
}
