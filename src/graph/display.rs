//! A graph as text, one line per node.

use std::fmt;

use super::{Graph, Origin};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in self.values() {
            let definition = &self.values[value.index()];
            let ty = &definition.ty;
            match &definition.source {
                Origin::Input(name) => writeln!(f, "{value}: {ty} = input \"{name}\"")?,
                Origin::State(index) => {
                    writeln!(f, "{value}: {ty} = state \"{}\"", self.states[*index].name)?;
                }
                Origin::Constant(_) => writeln!(f, "{value}: {ty} = constant")?,
                Origin::Node { node, output: 0 } => {
                    let node = &self.nodes[*node];
                    for (i, output) in node.outputs.iter().enumerate() {
                        let ty = &self.values[output.index()].ty;
                        write!(f, "{}{output}: {ty}", if i > 0 { ", " } else { "" })?;
                    }
                    write!(f, " = {}(", node.op.name())?;
                    for (i, input) in node.inputs.iter().enumerate() {
                        write!(f, "{}{input}", if i > 0 { ", " } else { "" })?;
                    }
                    writeln!(f, ")")?;
                }
                Origin::Node { .. } => {}
            }
        }
        for (state, value) in &self.assigns {
            writeln!(f, "{state} <- {value}")?;
        }
        Ok(())
    }
}
