//! Axes of shapes: the one, two or three after batch and channels, which are walked as three; and
//! all those around one axis.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Value};

/// How many axes follow the first two of `[first, second, ...]`. They are the last ones of three;
/// those before them have one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Axes(usize);

impl Axes {
    pub(super) fn new<const D: usize>() -> Self {
        const { assert!(1 <= D && D <= 3, "there are 1, 2 or 3 axes") };
        Self(D)
    }

    /// Axes of a whole shape.
    pub(super) fn rank(self) -> usize {
        2 + self.0
    }

    /// The first that is there, of three.
    pub(super) fn first(self) -> usize {
        3 - self.0
    }

    /// The name of an op for this number of axes.
    pub(super) fn op(self, names: [&'static str; 3]) -> &'static str {
        names[self.0 - 1]
    }

    /// The name of one of three.
    pub(super) fn name(self, axis: usize) -> &'static str {
        match self.0 {
            1 => "length",
            _ => ["depth", "height", "width"][axis],
        }
    }

    /// The names of those that are there.
    pub(super) fn names(self) -> Vec<&'static str> {
        (self.first()..3).map(|axis| self.name(axis)).collect()
    }

    /// The three extents after the first two of a shape, if it has that many axes.
    pub(super) fn extents(self, shape: &[usize]) -> Option<[usize; 3]> {
        let mut extents = [1; 3];
        let own = shape.get(2..).filter(|own| own.len() == self.0)?;
        extents[self.first()..].copy_from_slice(own);
        Some(extents)
    }

    /// `[first, second, ...]` with those of the extents that are there.
    pub(super) fn shape(self, first: usize, second: usize, extents: [usize; 3]) -> Vec<usize> {
        let mut shape = vec![first, second];
        shape.extend(&extents[self.first()..]);
        shape
    }
}

impl Graph {
    /// What `f` makes of x. If x has one axis less than `rank`, it is one image: `f` takes it as a
    /// batch of one, and the results lose the axis of the batch.
    pub(super) fn batched<const N: usize>(
        &mut self,
        x: Value,
        rank: usize,
        f: impl FnOnce(&mut Graph, Value) -> Result<[Value; N]>,
    ) -> Result<[Value; N]> {
        // A value of another graph is for the op to refuse, which names itself.
        let shape = match self.shape(x) {
            Ok(shape) if shape.len() + 1 == rank => shape.clone(),
            _ => return f(self, x),
        };
        let batch = self.reshape(x, [&[1][..], &shape].concat())?;
        // Messages name the batch's shape, which nobody gave.
        let given = |error: Error| match error.kind() {
            ErrorKind::Shape => error.note(format!("x {shape} as a batch of one")),
            _ => error,
        };
        let mut outputs = f(self, batch).map_err(given)?;
        for output in &mut outputs {
            let image = self.shape(*output)?[1..].to_vec();
            *output = self.reshape(*output, image)?;
        }
        Ok(outputs)
    }

    /// [`Graph::batched`] with one result.
    pub(super) fn batched1(
        &mut self,
        x: Value,
        rank: usize,
        f: impl FnOnce(&mut Graph, Value) -> Result<Value>,
    ) -> Result<Value> {
        let [y] = self.batched(x, rank, |g, x| Ok([f(g, x)?]))?;
        Ok(y)
    }
}

/// `values` as the last of three, `front` before them.
pub(super) fn three<T: Copy, const D: usize>(values: [T; D], front: T) -> [T; 3] {
    let own = |axis: usize| (axis + D).checked_sub(3).map(|own| values[own]);
    std::array::from_fn(|axis| own(axis).unwrap_or(front))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Conv2d, MaxPool2d};
    use crate::shape::Type;

    #[test]
    fn messages_name_the_shape_of_one_image() {
        let mut g = Graph::new();
        let x = g.input("x", Type::f32([1, 28, 28])).unwrap();
        let weight = g.input("w", Type::f32([16, 3, 3, 3])).unwrap();
        let error = g.conv2d(x, weight, None, Conv2d::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "conv2d: weight [16, 3, 3, 3] expects 3 input channels, input [1, 1, 28, 28] has 1 \
             (x [1, 28, 28] as a batch of one)"
        );
        let error = g.max_pool(x, MaxPool2d::new(29)).unwrap_err().to_string();
        assert!(
            error.ends_with("(x [1, 28, 28] as a batch of one)"),
            "{error}"
        );
    }
}
