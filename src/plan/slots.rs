//! Which buffer each activation gets: whole buffers shared over time.

use std::cmp::Reverse;
use std::collections::BTreeSet;

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

/// A slot number for each life, and the bytes of each slot, multiples of 256. Lives that overlap
/// never share.
///
/// Greedy by size (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
/// inference"): the largest first, each into the slot that is free for its time and leaves the
/// least time unused before it; and greedy by time, best fit. The smaller of the two plans is
/// taken. Both take n log n steps for n lives.
pub fn place(lives: &[Life]) -> (Vec<usize>, Vec<u64>) {
    let (by_size, by_time) = (greedy_by_size(lives), greedy_by_time(lives));
    let total = |plan: &(Vec<usize>, Vec<u64>)| plan.1.iter().sum::<u64>();
    if total(&by_time) < total(&by_size) {
        by_time
    } else {
        by_size
    }
}

/// The largest life first, so that every slot with room in its time holds it.
fn greedy_by_size(lives: &[Life]) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| (Reverse(lives[i].bytes), lives[i].first));
    let mut gaps = Gaps::new(lives);
    let mut slots = Vec::new();
    let mut chosen = vec![0; lives.len()];
    for index in order {
        let life = lives[index];
        let gap = gaps.take(&life).unwrap_or_else(|| {
            slots.push(life.bytes.next_multiple_of(256));
            Gap {
                start: 0,
                end: usize::MAX,
                slot: slots.len() - 1,
            }
        });
        chosen[index] = gap.slot;
        if gap.start < life.first {
            gaps.insert(Gap {
                end: life.first - 1,
                ..gap
            });
        }
        if life.last < gap.end {
            gaps.insert(Gap {
                start: life.last + 1,
                ..gap
            });
        }
    }
    (chosen, slots)
}

/// The earliest life first, into the free slot that has to grow least, then the one that wastes
/// least.
fn greedy_by_time(lives: &[Life]) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| (lives[i].first, Reverse(lives[i].last)));
    let mut slots: Vec<u64> = Vec::new();
    let mut chosen = vec![0; lives.len()];
    // Slots in use by the last position of their life, and free ones by their bytes.
    let mut busy: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut free: BTreeSet<(u64, usize)> = BTreeSet::new();
    for index in order {
        let life = lives[index];
        while let Some(&(last, slot)) = busy.first()
            && last < life.first
        {
            busy.pop_first();
            free.insert((slots[slot], slot));
        }
        let fits = free.range((life.bytes, 0)..).next().copied();
        let slot = match fits.or_else(|| free.last().copied()) {
            Some(found) => {
                free.remove(&found);
                found.1
            }
            None => {
                slots.push(0);
                slots.len() - 1
            }
        };
        slots[slot] = slots[slot].max(life.bytes);
        busy.insert((life.last, slot));
        chosen[index] = slot;
    }
    let whole = slots.into_iter().map(|bytes| bytes.next_multiple_of(256));
    (chosen, whole.collect())
}

/// A run of positions, both ends included, in which a slot is free.
#[derive(Debug, Clone, Copy)]
struct Gap {
    start: usize,
    end: usize,
    slot: usize,
}

/// The free times of slots, by where they begin. A binary tree over the beginnings knows the latest
/// end below each of its nodes, so that the last gap that begins early enough and ends late enough
/// is found in one descent:
///
/// ```text
///        [0..4): latest end 9
///        /                 \
///   [0..2): 9           [2..4): 7        a life 3..=8: not right of the root,
///   /       \           /       \        since 7 < 8; the gap from `1` on holds it
///  0: 4     1: 9       2: 7     3: 5
/// ```
struct Gaps {
    /// Positions at which gaps may begin, sorted.
    starts: Vec<usize>,
    /// The gaps that begin there: (end, slot).
    gaps: Vec<BTreeSet<(usize, usize)>>,
    /// The latest end of a gap below each node. Node n has the children 2n and 2n + 1.
    latest: Vec<Option<usize>>,
}

impl Gaps {
    fn new(lives: &[Life]) -> Self {
        let after = lives.iter().map(|life| life.last.saturating_add(1));
        let mut starts: Vec<usize> = after.chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let leaves = starts.len().next_power_of_two();
        Self {
            gaps: vec![BTreeSet::new(); starts.len()],
            latest: vec![None; 2 * leaves],
            starts,
        }
    }

    fn leaves(&self) -> usize {
        self.latest.len() / 2
    }

    fn insert(&mut self, gap: Gap) {
        // Gaps begin at 0 or behind a life.
        let leaf = self.starts.partition_point(|&start| start < gap.start);
        self.gaps[leaf].insert((gap.end, gap.slot));
        self.update(leaf);
    }

    /// Removes the gap that holds `life` and begins last.
    fn take(&mut self, life: &Life) -> Option<Gap> {
        let early = self.starts.partition_point(|&start| start <= life.first);
        let leaf = self.last_leaf(1, 0, self.leaves(), early, life.last)?;
        let found = *self.gaps[leaf].range((life.last, 0)..).next()?;
        self.gaps[leaf].remove(&found);
        self.update(leaf);
        Some(Gap {
            start: self.starts[leaf],
            end: found.0,
            slot: found.1,
        })
    }

    /// The last leaf before `early` with an end of `needed` or later, of those of `node`: `width`
    /// from `first` on.
    fn last_leaf(
        &self,
        node: usize,
        first: usize,
        width: usize,
        early: usize,
        needed: usize,
    ) -> Option<usize> {
        if first >= early || self.latest[node] < Some(needed) {
            return None;
        }
        if width == 1 {
            return Some(first);
        }
        let half = width / 2;
        self.last_leaf(2 * node + 1, first + half, half, early, needed)
            .or_else(|| self.last_leaf(2 * node, first, half, early, needed))
    }

    fn update(&mut self, leaf: usize) {
        let mut node = self.leaves() + leaf;
        self.latest[node] = self.gaps[leaf].last().map(|gap| gap.0);
        while node > 1 {
            node /= 2;
            self.latest[node] = self.latest[2 * node].max(self.latest[2 * node + 1]);
        }
    }
}

/// The most bytes alive at one position: no plan can need less.
pub fn peak(lives: &[Life]) -> u64 {
    let mut first: Vec<&Life> = lives.iter().collect();
    let mut last = first.clone();
    first.sort_by_key(|life| life.first);
    last.sort_by_key(|life| life.last);
    let (mut alive, mut most, mut gone) = (0, 0, 0);
    for life in first {
        while last[gone].last < life.first {
            alive -= last[gone].bytes;
            gone += 1;
        }
        alive += life.bytes;
        most = most.max(alive);
    }
    most
}
