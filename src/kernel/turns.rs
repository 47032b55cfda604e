//! Turns of loops: how long one invocation may take.
//!
//! llvmpipe ends a loop after 65,535 turns, without a word, and what the loop would have summed is
//! missing. It counts the turns of all loops of an invocation together, and those of its neighbours
//! in other branches too. GPUs end a dispatch that runs for seconds. So a dispatch states its turns
//! and a plan holds them against the device ([`Dispatch::turns`](super::Dispatch::turns)): an op
//! cuts what would take more into pieces.

/// The most turns of an invocation on CPU adapters, a little below what llvmpipe allows.
pub const CPU_TURNS: u64 = 65_000;

/// The most turns of an invocation on GPUs. A turn that waits for memory takes about a microsecond,
/// and a single invocation that takes long leaves the others idle.
pub const GPU_TURNS: u64 = 32_768;

/// The most loops that one loop holds, beside and inside one another.
const HELD: u64 = 8;

/// The most that a loop of one turn adds to the turns of the loops in it.
pub const AROUND: u64 = 2 + HELD;

/// Turns of a loop that is entered once and takes `count` turns, each of which takes `inner` turns
/// of further loops. The test that ends a loop counts as one more: llvmpipe passes the rest of that
/// turn with all lanes masked, and each loop in it takes a turn of its own.
///
/// ```
/// use striate::kernel::looped;
///
/// assert_eq!(looped(5, 0), 5 + 1);
/// // for row in 0..3 { for column in 0..5 { .. } }: a turn of the inner one is masked.
/// assert!(looped(3, looped(5, 0)) > 3 * (1 + 6) + 1);
/// ```
pub fn looped(count: usize, inner: u64) -> u64 {
    (count as u64)
        .saturating_mul(inner.saturating_add(1))
        .saturating_add(1 + inner.min(HELD))
}

/// The most turns of a loop, each of which takes `inner` turns of further loops, so that the loop
/// stays within `turns`: the inverse of [`looped`], 1 at least.
pub fn turns_within(turns: u64, inner: u64) -> usize {
    let most = turns.saturating_sub(1 + inner.min(HELD)) / inner.saturating_add(1);
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_within_inverts_looped() {
        for turns in [2, 10, 65_000] {
            for inner in [0, 1, 6, 70_000] {
                let most = turns_within(turns, inner);
                assert!(most == 1 || looped(most, inner) <= turns);
                assert!(looped(most + 1, inner) > turns);
            }
        }
        assert_eq!(looped(usize::MAX, u64::MAX), u64::MAX);
    }
}
