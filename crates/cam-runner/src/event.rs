//! What happens during a run, as a stream that progress bars, logs and tests listen to.

use std::path::Path;

use cam_results::Record;

/// Something that happened. The runner never prints; whoever listens does.
#[derive(Debug)]
pub enum Event<'a> {
    /// A run was started or continued.
    Started {
        /// Its folder.
        folder: &'a Path,
        /// Rows that it will have.
        n_rows: usize,
        /// Rows that an earlier start has made already.
        n_done: usize,
        /// Lines of the journal that were cut off or damaged, and whose rows are made again.
        n_dropped: usize,
    },
    /// Something of the sweep is most likely not what was meant, a sentence.
    Caution(&'a str),
    /// Published weights are being downloaded.
    Downloading(cam_models::Progress<'a>),
    /// A network is being loaded.
    Loading {
        /// Its name in results.
        model: &'a str,
    },
    /// A row was begun.
    RowStarted {
        /// The network's name in results.
        model: &'a str,
        /// The method's name in results.
        method: &'a str,
        /// The image.
        image: &'a str,
    },
    /// A row was finished and is safe on disk. Told in the order in which rows were begun, and while other rows are
    /// begun already.
    RowFinished {
        /// The row, which may be a failed one.
        record: &'a Record,
    },
    /// All rows are there; tables, report and plots are being written.
    Writing,
}
