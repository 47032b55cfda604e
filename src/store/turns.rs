//! Who may change the states of a store, one at a time, in the order in which they asked.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A lock that is given in the order of the requests. `Mutex` is not: a session that runs step
/// after step would keep a snapshot waiting for as long as it runs.
#[derive(Default)]
pub(crate) struct Turns {
    numbers: Mutex<StepNumbers>,
    given_back: Condvar,
}

#[derive(Default)]
struct StepNumbers {
    /// The next one to be handed out.
    next: u64,
    /// The one whose turn it is.
    served: u64,
}

/// A turn; it ends when this is dropped.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    fn numbers(&self) -> MutexGuard<'_, StepNumbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all who asked before have had their turn.
    pub fn take(&self) -> Turn<'_> {
        let mut numbers = self.numbers();
        let own = numbers.next;
        numbers.next += 1;
        while numbers.served != own {
            let waited = self.given_back.wait(numbers);
            numbers = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.numbers().served += 1;
        self.0.given_back.notify_all();
    }
}
