//! Which buffer each activation gets: whole buffers shared over time.

/// Something that needs a buffer from position `first` to position `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Bytes needed.
    pub bytes: u64,
    /// First position.
    pub first: usize,
    /// Last position.
    pub last: usize,
}

/// A slot number for each life, and the bytes of each slot, multiples of 256. Lives that overlap never share.
///
/// Greedy by size (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference"): the largest first,
/// each into the slot that is free for its time; and greedy by time, best fit. The smaller of the two plans is taken.
pub fn place(lives: &[Life]) -> (Vec<usize>, Vec<u64>) {
    let by_size = greedy(lives, |l| (u64::MAX - l.bytes, l.first));
    let by_time = greedy(lives, |l| (l.first as u64, usize::MAX - l.last));
    let total = |plan: &(Vec<usize>, Vec<u64>)| plan.1.iter().sum::<u64>();
    if total(&by_time) < total(&by_size) {
        by_time
    } else {
        by_size
    }
}

fn greedy<K: Ord>(lives: &[Life], key: impl Fn(&Life) -> K) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| key(&lives[i]));
    let mut slots: Vec<(u64, Vec<usize>)> = Vec::new();
    let mut chosen = vec![0; lives.len()];
    for index in order {
        let life = lives[index];
        let overlaps =
            |other: &usize| lives[*other].first <= life.last && life.first <= lives[*other].last;
        let free = slots
            .iter()
            .enumerate()
            .filter(|(_, (_, users))| !users.iter().any(overlaps))
            // The least growth, then the least waste.
            .min_by_key(|(_, (bytes, _))| {
                (
                    life.bytes.saturating_sub(*bytes),
                    bytes.saturating_sub(life.bytes),
                )
            })
            .map(|(slot, _)| slot);
        let slot = free.unwrap_or_else(|| {
            slots.push((0, Vec::new()));
            slots.len() - 1
        });
        slots[slot].0 = slots[slot].0.max(life.bytes);
        slots[slot].1.push(index);
        chosen[index] = slot;
    }
    let whole = |(bytes, _): (u64, Vec<usize>)| bytes.next_multiple_of(256);
    (chosen, slots.into_iter().map(whole).collect())
}

/// The most bytes alive at one position: no plan can need less.
pub fn peak(lives: &[Life]) -> u64 {
    let at = |position: usize| -> u64 {
        lives
            .iter()
            .filter(|l| l.first <= position && position <= l.last)
            .map(|l| l.bytes)
            .sum()
    };
    lives.iter().map(|l| at(l.first)).max().unwrap_or(0)
}
