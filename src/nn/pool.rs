//! Pooling layers: the parameters of `ops`' poolings are the layers. Max unpooling needs indices
//! beside x and is called on the graph.

use super::{Mode, Module, within};
use crate::error::Result;
use crate::graph::{Graph, Value};

pub use crate::ops::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool,
    AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d,
    AvgPool3d, LpPool, LpPool1d, LpPool2d, LpPool3d, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d,
};

impl<const D: usize> Module for MaxPool<D> {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, format_args!("MaxPool{D}d"), || g.max_pool(x, *self))
    }
}

impl<const D: usize> Module for AvgPool<D> {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, format_args!("AvgPool{D}d"), || g.avg_pool(x, *self))
    }
}

impl<const D: usize> Module for LpPool<D> {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, format_args!("LpPool{D}d"), || g.lp_pool(x, *self))
    }
}

impl<const D: usize> Module for AdaptiveAvgPool<D> {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, format_args!("AdaptiveAvgPool{D}d"), || {
            g.adaptive_avg_pool(x, *self)
        })
    }
}

impl<const D: usize> Module for AdaptiveMaxPool<D> {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, format_args!("AdaptiveMaxPool{D}d"), || {
            g.adaptive_max_pool(x, *self)
        })
    }
}

/// The mean of each plane: `[n, c, ...]` gives `[n, c, 1, ...]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobalAvgPool;

impl Module for GlobalAvgPool {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "GlobalAvgPool", || g.global_avg_pool(x))
    }
}

/// The largest element of each plane: `[n, c, ...]` gives `[n, c, 1, ...]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobalMaxPool;

impl Module for GlobalMaxPool {
    fn build(&self, g: &mut Graph, name: &str, x: Value, _: Mode) -> Result<Value> {
        within(name, "GlobalMaxPool", || g.global_max_pool(x))
    }
}
