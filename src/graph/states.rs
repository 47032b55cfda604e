//! Named states: how a graph declares them, and what it says of where they lie.

use super::{Graph, Init, Origin, State, StateKind, Value};
use crate::error::{Error, Result};
use crate::shape::{Shape, Type};

/// # States
impl Graph {
    /// A named state. `like` places it at the offset of that state (a parameter) within its own
    /// kind.
    pub fn state(
        &mut self,
        name: &str,
        ty: Type,
        kind: StateKind,
        init: Init,
        like: Option<Value>,
    ) -> Result<Value> {
        if self.states.iter().any(|s| s.name == name) {
            return Err(Error::graph(format!("state \"{name}\" exists already")));
        }
        if let Init::Tensor(tensor) = &init
            && tensor.ty() != &ty
        {
            return Err(Error::shape(format!(
                "state \"{name}\" is {ty}, its initial tensor {}",
                tensor.ty()
            )));
        }
        let like = match like {
            None => None,
            Some(twin) => {
                let context = |e: Error| e.context(format!("state \"{name}\""));
                let Origin::State(index) = self.definition(twin).map_err(context)?.source else {
                    return Err(Error::graph(format!(
                        "state \"{name}\" can only be stored like a state, not {}",
                        self.describe(twin)
                    )));
                };
                if self.states[index].ty != ty {
                    return Err(Error::shape(format!(
                        "state \"{name}\" is {ty}, \"{}\" like which it is stored {}",
                        self.states[index].name, self.states[index].ty
                    )));
                }
                Some(index)
            }
        };
        let value = self.define(ty.clone(), Origin::State(self.states.len()))?;
        self.states.push(State {
            name: name.to_owned(),
            ty,
            kind,
            init,
            like,
            group: 0,
            frozen: false,
            value,
        });
        Ok(value)
    }

    /// A trained parameter.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value> {
        self.state(name, Type::f32(shape), StateKind::Parameter, init, None)
    }

    /// The seed and step counter, `u32 [4]`: seed low, seed high, step, unused. Made on first use
    /// under the name `clock`.
    pub fn clock(&mut self) -> Result<Value> {
        if let Some(clock) = self.clock {
            return Ok(clock);
        }
        if let Some(clock) = self.find_state("clock") {
            return Ok(clock);
        }
        self.state("clock", Type::u32([4]), StateKind::Scalar, Init::Seed, None)
    }

    /// Makes `clock`, a `u32 [4]`, the one that [`clock`](Self::clock) gives: for a graph that does
    /// not count the steps of others.
    pub fn set_clock(&mut self, clock: Value) -> Result<()> {
        let ty = self.operand("set_clock", clock)?;
        if ty != &Type::u32([4]) {
            return Err(Error::shape(format!("clock: {ty}, u32 [4] is needed")));
        }
        self.clock = Some(clock);
        Ok(())
    }

    /// Packs a state, and what is stored like it, with the others of its kind and group (0 unless
    /// set), so that one dispatch walks all of a group. Where graphs that share a store differ, the
    /// highest number counts.
    pub fn set_group(&mut self, state: Value, group: u8) -> Result<()> {
        self.operand("set_group", state)?;
        let Origin::State(index) = self.definition(state)?.source else {
            return Err(Error::graph(format!(
                "set_group: {} is not a state",
                self.describe(state)
            )));
        };
        self.states[index].group = group;
        Ok(())
    }

    /// Leaves a parameter as it is: optimizers make no gradient for it, and keep no moments or
    /// averages. It lies apart from those that are trained.
    ///
    /// # Errors
    /// `Graph` if `parameter` is none.
    pub fn freeze(&mut self, parameter: Value) -> Result<()> {
        self.operand("freeze", parameter)?;
        if let Origin::State(index) = self.definition(parameter)?.source
            && self.states[index].kind == StateKind::Parameter
        {
            self.states[index].frozen = true;
            self.states[index].group = u8::MAX;
            return Ok(());
        }
        Err(Error::graph(format!(
            "freeze: {} is not a parameter",
            self.describe(parameter)
        )))
    }

    /// The state of this name.
    pub fn find_state(&self, name: &str) -> Option<Value> {
        self.states.iter().find(|s| s.name == name).map(|s| s.value)
    }
}
