//! Class activation maps.

use super::graphs::Sight;
use super::{HeatMap, Inspector, names};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// # Which places count, by the maps of a layer
impl Inspector {
    /// Where the maps A_k of a layer speak for a class (Selvaraju et al. 2017, "Grad-CAM: visual
    /// explanations from deep networks via gradient-based localization"):
    ///
    /// ```text
    /// relu(sum_k a_k A_k),    a_k = mean over places of dS_class / dA_k
    /// ```
    ///
    /// The map is resized to the picture, bilinearly: `[height, width]`. The last layer with
    /// spatial axes says most of classes.
    ///
    /// # Errors
    /// `Graph` if there is no such layer, with the name most like it or some names; `Shape` if it
    /// has no spatial axes, with the layers that have; `NotDifferentiable` if the logits do not
    /// depend on it; `Data` if there is no such class; as [`scores`](Self::scores).
    pub fn grad_cam(&mut self, pixels: &[u8], class: usize, layer: &str) -> Result<HeatMap> {
        self.cam(pixels, class, layer, false)
    }

    /// The same with the weights of Chattopadhyay et al. 2018, "Grad-CAM++: improved visual
    /// explanations for deep convolutional networks", for a score exp(S_class):
    ///
    /// ```text
    /// a_k = sum over places of w_k relu(g_k),    g_k = dS_class / dA_k
    /// w_k = g_k^2 / (2 g_k^2 + sum(A_k) g_k^3)
    /// ```
    ///
    /// A factor exp(S_class) that all maps share is left out. The formula is for a layer after a
    /// relu; of another layer, the sum takes the positive part of A_k.
    ///
    /// What speaks against the class counts nothing here, so that the map follows the layer's maps
    /// more, and the weights less, than that of [`grad_cam`](Self::grad_cam): see
    /// [`sanity_check`](Self::sanity_check).
    ///
    /// # Errors
    /// As [`grad_cam`](Self::grad_cam).
    pub fn grad_cam_plus_plus(
        &mut self,
        pixels: &[u8],
        class: usize,
        layer: &str,
    ) -> Result<HeatMap> {
        self.cam(pixels, class, layer, true)
    }

    fn cam(
        &mut self,
        pixels: &[u8],
        class: usize,
        layer: &str,
        plus_plus: bool,
    ) -> Result<HeatMap> {
        let classes = self.expect_class(class)?;
        self.expect_maps(layer)?;
        let picture = self.pictures(&[self.normalised(pixels)?])?;
        let weights = Tensor::f32([1, classes], Self::one_hot(class, classes, 1.0))?;
        let layer = layer.to_owned();
        let outputs = self.look(Sight::Cam { layer, plus_plus }, &[picture, weights])?;
        let [_, height, width] = self.input();
        HeatMap::new(outputs[1].as_f32()?.to_vec(), [height, width])
    }

    /// Fails if a layer is there and has no maps over two axes.
    fn expect_maps(&self, layer: &str) -> Result<()> {
        let found = self.layers().iter().rev().find(|own| own.name == layer);
        match found {
            // One that is not there is told when it is looked for.
            None => Ok(()),
            Some(found) if found.places() > 0 => Ok(()),
            Some(found) => {
                let with = self.layers().iter().filter(|own| own.places() > 0);
                // The later ones say more of classes.
                let mut names: Vec<&str> = with.map(|own| own.name.as_str()).collect();
                names.reverse();
                Err(Error::shape(format!(
                    "layer \"{layer}\" is {}, without maps [1, k, height, width]; those that have \
                     them, from the last: {}",
                    found.shape,
                    names::listed(&names)
                )))
            }
        }
    }
}
