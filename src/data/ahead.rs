//! An iterator that is run ahead on a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use super::loader::told;
use crate::error::{Error, ErrorKind, Result};

/// The most items that wait.
const MOST_AHEAD: usize = 1 << 20;

/// What [`ahead`] returns.
#[derive(Debug)]
pub struct Ahead<T> {
    items: Option<Receiver<Result<T>>>,
    thread: Option<JoinHandle<()>>,
}

/// Runs an iterator, of batches for example, on a thread of its own, so many items ahead of whoever
/// takes them. It ends with the iterator, or after its first error; a panic is an error. Dropped,
/// it ends the thread after the item that it is at.
///
/// ```
/// use striate::data::ahead;
///
/// # fn main() -> striate::error::Result<()> {
/// let squares: Vec<u32> = ahead((0..5u32).map(|x| Ok(x * x)), 2)?
///     .collect::<striate::error::Result<_>>()?;
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Shape` for more than 2^20 items; `Unsupported` if the thread cannot be started. As an item
/// `Data` if the iterator panicked.
pub fn ahead<T, I>(items: I, count: usize) -> Result<Ahead<T>>
where
    T: Send + 'static,
    I: IntoIterator<Item = Result<T>> + Send + 'static,
{
    if count > MOST_AHEAD {
        let message = format!("ahead: {count} items, {MOST_AHEAD} at most are made ahead");
        return Err(Error::shape(message));
    }
    let (sender, receiver) = sync_channel(count);
    let run = move || {
        let failed = sender.clone();
        let ran = catch_unwind(AssertUnwindSafe(move || {
            for item in items {
                let last = item.is_err();
                // Nobody takes any more of them.
                if sender.send(item).is_err() || last {
                    return;
                }
            }
        }));
        if let Err(panic) = ran {
            let message = format!("the iterator panicked: {}", told(&*panic));
            let _ = failed.send(Err(Error::new(ErrorKind::Data, message)));
        }
    };
    let thread = thread::Builder::new().name("ahead".to_owned()).spawn(run);
    let thread = thread.map_err(|e| {
        let message = "ahead: the thread cannot be started";
        Error::new(ErrorKind::Unsupported, message).with_source(e)
    })?;
    Ok(Ahead {
        items: Some(receiver),
        thread: Some(thread),
    })
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.items.as_ref()?.recv().ok()
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        // A thread that waits for room learns that nobody takes its items.
        drop(self.items.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_is_made_than_was_asked_for() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = made.clone();
        let endless = std::iter::repeat_with(move || Ok(counted.fetch_add(1, Ordering::SeqCst)));
        let mut items = ahead(endless, 2).unwrap();
        for wanted in 0..5 {
            assert_eq!(items.next().unwrap().unwrap(), wanted);
        }
        // Five are taken, two lie in the queue, and one waits for room.
        assert!(made.load(Ordering::SeqCst) <= 8);
        drop(items);
        let last = made.load(Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(made.load(Ordering::SeqCst), last, "the thread goes on");
    }

    #[test]
    fn errors_and_panics_end_it() {
        let failing = (0..9).map(|i| match i {
            2 => Err(Error::new(ErrorKind::Io, "gone")),
            _ => Ok(i),
        });
        let items: Vec<_> = ahead(failing, 1).unwrap().collect();
        assert_eq!(items.len(), 3);
        assert_eq!(items[2].as_ref().unwrap_err().kind(), ErrorKind::Io);
        let panicking = (0..9).map(|i| match i {
            1 => panic!("no {i}"),
            _ => Ok(i),
        });
        let items: Vec<_> = ahead(panicking, 1).unwrap().collect();
        let error = items[1].as_ref().unwrap_err();
        assert_eq!(error.to_string(), "the iterator panicked: no 1");
    }
}
