//! Whether an op is right: its results on a GPU against the reference, the reference against
//! central differences.
//!
//! A [`Case`] says how an op is used and how far its results may stray. [`derivatives`] and
//! [`adjoint`] look at the reference alone. [`Prepared::new`] evaluates the reference,
//! [`Adapter::check`] runs the case on a GPU in every way that the engine knows: every body of the
//! kernels, with and without fusion, with values cut into parts, with grids folded. The crate's own
//! tests are made of these, and an op from outside is checked by the same:
//!
//! ```
//! use striate::check::{self, Adapter, Bound, Case, Prepared, real};
//! use striate::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let case = Case::new("linear/2x3->4", vec![real([2, 3]), real([4, 3])], |g, v| {
//!     Ok(vec![g.linear(v[0], v[1], None)?])
//! })
//! .bound(Bound::Sum { k: 3 })
//! .gradients(&[0, 1], Bound::Sum { k: 4 });
//!
//! check::derivatives(&case)?;
//! let prepared = Prepared::new(&case)?;
//! for adapter in Adapter::all(&GpuOptions::default()) {
//!     assert!(adapter?.check(&prepared).wrong.is_empty());
//! }
//! # Ok(())
//! # }
//! ```

#[cfg(not(target_arch = "wasm32"))]
mod adapter;
mod case;
mod compare;
#[cfg(not(target_arch = "wasm32"))]
mod forms;
mod numbers;
mod prepared;
mod reference;

#[cfg(not(target_arch = "wasm32"))]
pub use adapter::{Adapter, Verdict};
pub use case::{Bound, BuildGraph, Case, Draw, Input, below, drawn, real, texels};
pub use compare::{compare, tolerances};
pub use numbers::{Built, Given, Numbers, arrays, build, draw};
pub use prepared::Prepared;
pub use reference::{adjoint, derivatives};

use crate::error::{Error, ErrorKind};

fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}
