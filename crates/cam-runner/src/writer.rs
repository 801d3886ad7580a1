//! Rows written on a thread of their own, so that the network does not wait for the disk.

use std::{
    panic::resume_unwind,
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread::{Builder, Scope, ScopedJoinHandle},
};

use cam_results::{Record, Row};
use tracing::info_span;

/// How many rows may wait for the writer, and how many it writes at once.
const WAITING: usize = 16;

/// A thread that writes rows in the order in which they are handed over.
///
/// No more than twice [`WAITING`] rows are handed over and not yet written. Whatever is handed over is written before
/// [`Writer::finish`] returns, unless writing fails; nothing is written after the first error.
pub(crate) struct Writer<'scope, E> {
    rows: SyncSender<Row>,
    written: Receiver<Record>,
    thread: ScopedJoinHandle<'scope, Result<(), E>>,
}

impl<'scope, E: Send + 'scope> Writer<'scope, E> {
    /// Starts the thread. `append` is given all rows that wait, and they are safe when it returns.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        mut append: impl FnMut(&[Row]) -> Result<(), E> + Send + 'scope,
    ) -> Self {
        let (rows, handed_over) = sync_channel::<Row>(WAITING);
        let (safe, written) = channel();
        let write = move || {
            while let Ok(first) = handed_over.recv() {
                let mut batch = vec![first];
                batch.extend(handed_over.try_iter().take(WAITING - 1));
                info_span!("write", n_rows = batch.len()).in_scope(|| append(&batch))?;
                for row in batch {
                    // Nobody listens any more where the loop has panicked; the rows are written all the same.
                    let _ = safe.send(row.record);
                }
            }
            Ok(())
        };
        let thread = Builder::new().name("writer".into()).spawn_scoped(scope, write);
        Self { rows, written, thread: thread.expect("the system has room for one more thread") }
    }

    /// Hands a row over; waits where too many wait already. `false` where the writer has failed: [`Writer::finish`]
    /// says why.
    pub(crate) fn hand_over(&self, row: Row) -> bool {
        self.rows.send(row).is_ok()
    }

    /// The records that were written since they were last asked for, in their order.
    pub(crate) fn written(&self) -> impl Iterator<Item = Record> {
        self.written.try_iter()
    }

    /// Waits until everything is written, and gives the records that were not asked for yet.
    ///
    /// # Errors
    /// The error that ended the writer. A panic of the writer goes on here.
    pub(crate) fn finish(self, mut on_written: impl FnMut(&Record)) -> Result<(), E> {
        drop(self.rows);
        // Ends when the thread does, whatever ends it.
        for record in self.written {
            on_written(&record);
        }
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{Barrier, Mutex},
        thread,
    };

    use cam_results::Status;

    use super::*;

    fn row(number: usize) -> Row {
        let record = Record {
            model: "toy".into(),
            layer: "conv".into(),
            method: "cam".into(),
            protocol: "corrected".into(),
            image: format!("{number}.png").into(),
            label: None,
            target: Some(0),
            predicted: Some(0),
            confidence: Some(0.5),
            metrics: vec![],
            adcc_per_image: None,
            explain_secs: 0.0,
            forwards: 0,
            head_forwards: 0,
            backwards: 0,
            executed_forwards: 0,
            status: Status::Ok,
            error: None,
        };
        Row { record, curves: vec![], map: None }
    }

    fn images(n: usize) -> Vec<String> {
        (0..n).map(|number| row(number).record.image.to_string()).collect()
    }

    #[test]
    fn a_disk_that_stands_still_does_not_stall_whoever_hands_over() {
        let disk = Barrier::new(2);
        let sizes = Mutex::new(vec![]);
        let mut written = vec![];
        thread::scope(|scope| {
            let writer = Writer::start(scope, |rows: &[Row]| {
                let mut sizes = sizes.lock().unwrap();
                sizes.push(rows.len());
                if sizes.len() == 1 {
                    disk.wait();
                }
                Ok::<_, ()>(())
            });
            // Would never come to its end if the disk were waited for.
            for number in 0..WAITING {
                assert!(writer.hand_over(row(number)));
            }
            assert_eq!(writer.written().count(), 0, "nothing is reported that is not safe");
            disk.wait();
            writer.finish(|record| written.push(record.image.to_string())).unwrap();
        });
        assert_eq!(written, images(WAITING));
        let sizes = sizes.into_inner().unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), WAITING);
        assert!(sizes.len() <= 2, "what waits is written at once: {sizes:?}");
    }

    #[test]
    fn an_error_ends_the_writer_and_everything_before_it_is_reported() {
        let mut written = vec![];
        let error = thread::scope(|scope| {
            let mut n_safe = 0;
            let writer = Writer::start(scope, move |rows: &[Row]| {
                n_safe += rows.len();
                if n_safe > 40 { Err("the disk is full") } else { Ok(()) }
            });
            let n_accepted = (0..1000).take_while(|number| writer.hand_over(row(*number))).count();
            assert!((40..40 + 2 * WAITING + 1).contains(&n_accepted), "{n_accepted}");
            writer.finish(|record| written.push(record.image.to_string())).unwrap_err()
        });
        assert_eq!(error, "the disk is full");
        assert!((40 - WAITING..=40).contains(&written.len()), "{}", written.len());
        assert_eq!(written, images(written.len()));
    }

    #[test]
    fn a_panic_of_the_writer_is_no_hang() {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                let writer =
                    Writer::start(scope, |_: &[Row]| -> Result<(), ()> { panic!("a bug") });
                while writer.hand_over(row(0)) {}
                writer.finish(|_| {})
            })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"a bug"));
    }

    #[test]
    fn a_panic_of_whoever_hands_over_is_no_hang_and_loses_nothing() {
        let written = Mutex::new(vec![]);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                let writer = Writer::start(scope, |rows: &[Row]| {
                    written
                        .lock()
                        .unwrap()
                        .extend(rows.iter().map(|row| row.record.image.to_string()));
                    Ok::<_, ()>(())
                });
                assert!(writer.hand_over(row(0)));
                assert!(writer.hand_over(row(1)));
                panic!("a bug");
            });
        }));
        assert!(panic.is_err());
        assert_eq!(written.into_inner().unwrap(), images(2));
    }
}
