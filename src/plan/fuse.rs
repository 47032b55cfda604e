//! Graph rewrites that save dispatches and memory. The only place that looks inside an op.

use super::program::Program;

/// Applies all rewrites. Each leaves every fetched and assigned value equal to what it was.
pub(super) fn fuse(program: &mut Program) {
    program.drop_unused();
}
