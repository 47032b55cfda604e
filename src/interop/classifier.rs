//! Saving a classifier, once it is known to be worth it.

use std::path::Path;

use super::{save_averaged, save_parameters, save_training};
use crate::error::Result;
use crate::train::Classifier;

impl Classifier {
    /// Writes its parameters and running statistics as [`save_parameters`] does, if they and the
    /// losses of training are finite. Metrics that were not read are lost.
    ///
    /// # Errors
    /// `NotFinite` as [`expect_finite`](Self::expect_finite), and the file is as it was; whatever
    /// [`save_parameters`] returns.
    pub fn save_parameters(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.expect_finite()?;
        save_parameters(path, self.store())
    }

    /// As [`save_parameters`](Self::save_parameters), with the moving averages in place of the
    /// parameters that have some.
    ///
    /// # Errors
    /// As [`save_parameters`](Self::save_parameters).
    pub fn save_averaged(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.expect_finite()?;
        save_averaged(path, self.store())
    }

    /// Writes all that training needs to go on as [`save_training`] does, if the network, its
    /// moments and the losses of training are finite. Metrics that were not read are lost.
    ///
    /// # Errors
    /// As [`save_parameters`](Self::save_parameters).
    pub fn save_training(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.expect_finite()?;
        save_training(path, self.store())
    }
}
