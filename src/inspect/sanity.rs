//! Whether a map says anything of the weights.

use super::graphs::Network;
use super::{HeatMap, Inspector};
use crate::error::{Error, Result};
use crate::store::Store;

/// The mean magnitude of rank correlations from which on a map says too little of the weights.
const LIMIT: f64 = 0.5;

/// How like the map of a network is to those of the same network with random weights.
#[derive(Debug, Clone, PartialEq)]
pub struct SanityCheck {
    /// Spearman's rank correlation with the map of each random network; 1 where all numbers of the
    /// network's own map are equal, which says nothing of its weights.
    pub correlations: Vec<f64>,
}

impl SanityCheck {
    /// The mean of their magnitudes.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.correlations.iter().map(|x| x.abs()).sum();
        sum / self.correlations.len().max(1) as f64
    }

    /// Whether the map depends on the weights: the mean is below 0.5.
    pub fn passed(&self) -> bool {
        self.mean() < LIMIT
    }
}

/// # Whether a map means anything
impl Inspector {
    /// The same network with its weights and statistics drawn anew from a seed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn randomised(&self, seed: u64) -> Result<Self> {
        self.randomised_where(seed, |_| true)
    }

    /// The same network, with the states whose names are chosen drawn anew, as `fc.weight`: from
    /// the last layer to the first, this is the cascade of Adebayo et al. 2018.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn randomised_where(&self, seed: u64, chosen: impl Fn(&str) -> bool) -> Result<Self> {
        let network = Network::new(&*self.net, self.input, 1)?;
        let store = Store::new(self.store.engine(), &[&network.graph], seed)?;
        let kept = self.states.iter().filter(|name| !chosen(name));
        let kept: Vec<&String> = kept.collect();
        store.restore(&self.store.snapshot(&kept)?)?;
        let random = Self::shared(&store, self.net.clone(), self.input)?;
        Ok(Self {
            normalise: self.normalise.clone(),
            fit: self.fit,
            class_names: self.class_names.clone(),
            ..random
        })
    }

    /// Compares the map that `map` makes of this network with those that it makes of `networks`
    /// copies with random weights (Adebayo et al. 2018, "Sanity checks for saliency maps"). A map
    /// that stays as it is shows the picture and not what was learnt: an edge detector does. A map
    /// whose numbers are all equal does not pass either.
    ///
    /// ```
    /// use striate::inspect::{HeatMap, Inspector};
    /// # use striate::nn::{Build, Flatten, Linear, Module, Sequential};
    /// # use striate::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// # let net = || Sequential::new().then(Flatten).named("fc", Linear::new(64, 3));
    /// # let mut g = Graph::new();
    /// # let x = g.input("x", Type::f32([1, 1, 8, 8]))?;
    /// # net().build(&mut Build::eval(&mut g), x)?;
    /// # let store = Store::new(&Engine::cpu(), &[&g], 7)?;
    /// # let mut inspector = Inspector::new(&store, net(), [1, 8, 8])?;
    /// # let pixels: Vec<u8> = (0..64).collect();
    /// let check = inspector.sanity_check(3, 1, |network| {
    ///     Ok(network.saliency(&pixels, 0)?.magnitude())
    /// })?;
    /// assert!(check.passed());
    ///
    /// // A map that does not look at the network.
    /// let bright = |_: &mut Inspector| {
    ///     HeatMap::new(pixels.iter().map(|&x| f32::from(x)).collect(), [8, 8])
    /// };
    /// assert!(!inspector.sanity_check(3, 1, bright)?.passed());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Shape` if there are no networks; those of `map`; as [`new`](Self::new).
    pub fn sanity_check(
        &mut self,
        networks: usize,
        seed: u64,
        map: impl Fn(&mut Inspector) -> Result<HeatMap>,
    ) -> Result<SanityCheck> {
        if networks == 0 {
            return Err(Error::shape(
                "sanity_check: at least 1 random network is needed",
            ));
        }
        let trained = map(self)?;
        let is_flat = trained.values().windows(2).all(|pair| pair[0] == pair[1]);
        let correlations = (0..networks as u64).map(|number| -> Result<f64> {
            let mut random = self.randomised(seed.wrapping_add(number))?;
            let found = trained.rank_correlation(&map(&mut random)?)?;
            Ok(if is_flat { 1.0 } else { found })
        });
        Ok(SanityCheck {
            correlations: correlations.collect::<Result<_>>()?,
        })
    }
}
