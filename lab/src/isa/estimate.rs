//! What share of a card's peak a hot loop may reach, from what it is made of.

use serde::{Deserialize, Serialize};

use super::Card;
use super::assembly::HotLoop;

/// Cycles that a load of global memory may take before its value is there.
const LATENCY: f64 = 600.0;

/// Estimates of the share of peak, each by one reason alone; other waves may hide some of each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Every instruction of a wave takes a slot in which it could have multiplied: the share of
    /// multiply-adds in a turn of the loop around the hot one.
    pub issue: f64,
    /// Every 4 bytes that an invocation loads from workgroup memory take slots in which others
    /// could multiply: two on AMD's cards, four on NVIDIA's.
    pub shared: f64,
    /// The waves of a SIMD together take some slots before one loads again: as many as loads wait,
    /// or the rest is idle. Nothing where nobody says how many waves there are.
    pub latency: Option<f64>,
}

impl Estimate {
    /// For a hot loop that takes `turns` turns in one of the loop around it.
    pub fn of(card: Card, hot: &HotLoop, turns: usize, waves: Option<u64>) -> Self {
        let outer = hot.outer.unwrap_or_default();
        let slots = (outer.instructions + turns * hot.inner.instructions) as f64;
        let bytes = (outer.shared_bytes + turns * hot.inner.shared_bytes) as f64;
        let multiply_adds = (outer.multiply_adds + turns * hot.inner.multiply_adds) as f64;
        // All of AMD's cards read 128 bytes per cycle and unit, while two waves of 32 or one of 64
        // multiply; NVIDIA's read 128 bytes while four warps of 32 do.
        let each = match card {
            Card::Sm90 => 4.0,
            _ => 2.0,
        };
        let shared = match bytes {
            0.0 => 1.0,
            bytes => (multiply_adds / (each * bytes / 4.0)).min(1.0),
        };
        let covers = waves.map(|waves| (waves as f64 * slots / LATENCY).min(1.0));
        Self {
            issue: hot.block_share(turns),
            shared,
            latency: covers,
        }
    }

    /// The least of them.
    pub fn share(&self) -> f64 {
        self.issue.min(self.shared).min(self.latency.unwrap_or(1.0))
    }

    /// In words.
    pub fn told(&self) -> String {
        let percent = |share: f64| 100.0 * share;
        let latency = match self.latency {
            Some(share) => format!("{:.0} %", percent(share)),
            None => "an unknown share".to_owned(),
        };
        format!(
            "about {:.0} % of peak: {:.0} % of issue slots multiply, workgroup memory allows \
             {:.0} %, waves cover {latency} of the latency of a load",
            percent(self.share()),
            percent(self.issue),
            percent(self.shared),
        )
    }
}
