//! Which loops of a kernel take a number of turns that its text does not fix.

use std::collections::BTreeSet;

use naga::{Block, BuiltIn, Expression, Function, Handle, LocalVariable, Module, Statement};

/// The functions of a module that hold a loop whose turns are not constant, each by the name of
/// the function and how many of its loops those are.
///
/// A loop is constant where one of its ends depends on nothing but literals, constants, overrides
/// and the place of the invocation in its workgroup. Local variables stand for all that is ever
/// stored in them.
pub fn loops_of_unknown_length(module: &Module) -> Vec<(String, usize)> {
    let main = module.entry_points.iter().map(|entry| &entry.function);
    let others = module.functions.iter().map(|(_, function)| function);
    let mut found = Vec::new();
    for (function, is_main) in main.map(|f| (f, true)).chain(others.map(|f| (f, false))) {
        let scan = Scan { function, is_main };
        let count = scan.count(&function.body);
        if count > 0 {
            let name = function.name.clone().unwrap_or_else(|| "main".to_owned());
            found.push((name, count));
        }
    }
    found
}

struct Scan<'a> {
    function: &'a Function,
    is_main: bool,
}

impl Scan<'_> {
    /// Loops of `block` that are not constant, nested ones too.
    fn count(&self, block: &Block) -> usize {
        let mut count = 0;
        for statement in block {
            count += match statement {
                Statement::Loop {
                    body,
                    continuing,
                    break_if,
                } => {
                    let mut ends: Vec<Vec<Handle<Expression>>> = Vec::new();
                    ends.extend(break_if.map(|condition| vec![condition]));
                    self.ends(body, &mut Vec::new(), &mut ends);
                    let constant = ends
                        .iter()
                        .any(|conditions| conditions.iter().all(|&c| self.constant(c)));
                    usize::from(!constant) + self.count(body) + self.count(continuing)
                }
                Statement::Block(block) => self.count(block),
                Statement::If { accept, reject, .. } => self.count(accept) + self.count(reject),
                Statement::Switch { cases, .. } => {
                    cases.iter().map(|case| self.count(&case.body)).sum()
                }
                _ => 0,
            };
        }
        count
    }

    /// The conditions on which each `break` or `return` of a loop's body depends.
    fn ends(
        &self,
        block: &Block,
        under: &mut Vec<Handle<Expression>>,
        ends: &mut Vec<Vec<Handle<Expression>>>,
    ) {
        for statement in block {
            match statement {
                Statement::Break | Statement::Return { .. } => ends.push(under.clone()),
                Statement::Block(block) => self.ends(block, under, ends),
                Statement::If {
                    condition,
                    accept,
                    reject,
                } => {
                    under.push(*condition);
                    self.ends(accept, under, ends);
                    self.ends(reject, under, ends);
                    under.pop();
                }
                // A `break` in there ends the switch or the inner loop.
                _ => {}
            }
        }
    }

    fn constant(&self, expression: Handle<Expression>) -> bool {
        self.fixed(expression, &mut BTreeSet::new())
    }

    /// Whether an expression has one value for each place in the workgroup and step of a loop that
    /// is constant; `seen` are local variables that are being looked at.
    fn fixed(&self, expression: Handle<Expression>, seen: &mut BTreeSet<usize>) -> bool {
        let mut all = |parts: &[Handle<Expression>]| parts.iter().all(|&e| self.fixed(e, seen));
        match &self.function.expressions[expression] {
            Expression::Literal(_)
            | Expression::Constant(_)
            | Expression::Override(_)
            | Expression::ZeroValue(_) => true,
            Expression::Compose { components, .. } => all(components),
            Expression::Splat { value, .. } => all(&[*value]),
            Expression::Swizzle { vector, .. } => all(&[*vector]),
            Expression::Access { base, index } => all(&[*base, *index]),
            Expression::AccessIndex { base, .. } => all(&[*base]),
            Expression::Unary { expr, .. } | Expression::As { expr, .. } => all(&[*expr]),
            Expression::Binary { left, right, .. } => all(&[*left, *right]),
            Expression::Select {
                condition,
                accept,
                reject,
            } => all(&[*condition, *accept, *reject]),
            Expression::Math {
                arg,
                arg1,
                arg2,
                arg3,
                ..
            } => {
                let args: Vec<_> = [Some(*arg), *arg1, *arg2, *arg3]
                    .into_iter()
                    .flatten()
                    .collect();
                all(&args)
            }
            Expression::Load { pointer } => match self.local(*pointer) {
                Some(local) => self.local_fixed(local, seen),
                None => false,
            },
            Expression::LocalVariable(local) => self.local_fixed(*local, seen),
            Expression::FunctionArgument(i) => {
                let argument = &self.function.arguments[*i as usize];
                self.is_main
                    && matches!(
                        argument.binding,
                        Some(naga::Binding::BuiltIn(
                            BuiltIn::LocalInvocationIndex
                                | BuiltIn::LocalInvocationId
                                | BuiltIn::WorkGroupSize
                                | BuiltIn::SubgroupInvocationId
                                | BuiltIn::SubgroupId
                                | BuiltIn::SubgroupSize
                                | BuiltIn::NumSubgroups
                        ))
                    )
            }
            _ => false,
        }
    }

    /// The local variable that a pointer leads into.
    fn local(&self, pointer: Handle<Expression>) -> Option<Handle<LocalVariable>> {
        match &self.function.expressions[pointer] {
            Expression::LocalVariable(local) => Some(*local),
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => {
                self.local(*base)
            }
            _ => None,
        }
    }

    fn local_fixed(&self, local: Handle<LocalVariable>, seen: &mut BTreeSet<usize>) -> bool {
        // What depends on itself alone goes on as it began.
        if !seen.insert(local.index()) {
            return true;
        }
        let init = self.function.local_variables[local].init;
        init.is_none_or(|init| self.fixed(init, seen))
            && self.stores(&self.function.body, local, seen)
    }

    /// Whether all that `block` stores in a local variable is fixed.
    fn stores(
        &self,
        block: &Block,
        local: Handle<LocalVariable>,
        seen: &mut BTreeSet<usize>,
    ) -> bool {
        block.iter().all(|statement| match statement {
            Statement::Store { pointer, value } if self.local(*pointer) == Some(local) => {
                self.fixed(*value, seen)
            }
            // Whoever gets a pointer to it may store anything.
            Statement::Call { arguments, .. } => {
                let passed = |&argument: &Handle<Expression>| self.local(argument) == Some(local);
                !arguments.iter().any(passed)
            }
            Statement::Block(block) => self.stores(block, local, seen),
            // Which of several fixed values it gets is no more fixed than the condition.
            Statement::If {
                condition,
                accept,
                reject,
            } => {
                let here = [accept, reject].into_iter();
                let stored = here.clone().any(|block| self.stored(block, local));
                (!stored || self.fixed(*condition, seen))
                    && here
                        .into_iter()
                        .all(|block| self.stores(block, local, seen))
            }
            Statement::Switch { selector, cases } => {
                let stored = cases.iter().any(|case| self.stored(&case.body, local));
                (!stored || self.fixed(*selector, seen))
                    && cases
                        .iter()
                        .all(|case| self.stores(&case.body, local, seen))
            }
            Statement::Loop {
                body, continuing, ..
            } => self.stores(body, local, seen) && self.stores(continuing, local, seen),
            _ => true,
        })
    }

    /// Whether `block` stores anything in a local variable.
    fn stored(&self, block: &Block, local: Handle<LocalVariable>) -> bool {
        block.iter().any(|statement| match statement {
            Statement::Store { pointer, .. } => self.local(*pointer) == Some(local),
            Statement::Call { arguments, .. } => {
                arguments.iter().any(|&a| self.local(a) == Some(local))
            }
            Statement::Block(block) => self.stored(block, local),
            Statement::If { accept, reject, .. } => {
                self.stored(accept, local) || self.stored(reject, local)
            }
            Statement::Switch { cases, .. } => {
                cases.iter().any(|case| self.stored(&case.body, local))
            }
            Statement::Loop {
                body, continuing, ..
            } => self.stored(body, local) || self.stored(continuing, local),
            _ => false,
        })
    }
}
