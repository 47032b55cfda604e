//! Which of this library's files one is, where another one was expected.

use super::card::CARD;

/// The tensor of bytes in which a trainer's own state lies, as JSON.
pub(super) const TRAINER: &str = "striate.trainer";

/// One of the files that hold parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a `Trainer` goes on from.
    Checkpoint,
    /// What [`save_training`](super::save_training) writes.
    Training,
    /// A network that says which one it is.
    Network,
}

impl Kind {
    /// By the names of its tensors; none for a state dict, whoever wrote it.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let rank = |name: &str| match name {
            TRAINER => Some(Kind::Checkpoint),
            CARD => Some(Kind::Network),
            name if name == "clock" || name.starts_with("moment1.") => Some(Kind::Training),
            _ => None,
        };
        let mut found = None;
        for name in names {
            match rank(name) {
                // A checkpoint of a trainer has moments too.
                Some(Kind::Training) if found.is_none() => found = Some(Kind::Training),
                Some(Kind::Training) | None => {}
                other => found = other,
            }
        }
        found
    }

    /// What it is, and what reads it.
    pub fn told(self) -> &'static str {
        match self {
            Kind::Checkpoint => {
                "this is a checkpoint of a training run: `TrainerBuilder::resume` goes on with it, \
                 and `Trainer::save` writes its network"
            }
            Kind::Training => {
                "this is the state of a training run, which `load_training` reads; \
                 `save_parameters` writes its network"
            }
            Kind::Network => {
                "this is a saved network: `Predictor::load` and `load_parameters` read it, and \
                 `TrainerBuilder::begin_with` begins a run with it"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        let of = |names: &[&str]| Kind::of(names.iter().copied());
        assert_eq!(of(&["fc.weight", "bn.running_mean"]), None);
        assert_eq!(of(&["fc.weight", CARD]), Some(Kind::Network));
        assert_eq!(of(&["moment1.fc.weight", "clock"]), Some(Kind::Training));
        let both = Some(Kind::Checkpoint);
        assert_eq!(of(&["clock", TRAINER]), both);
        assert_eq!(of(&[TRAINER, "clock"]), both);
    }
}
