//! What a person sees while a sweep runs; quiet where there is no terminal.

use std::{io::IsTerminal, time::Duration};

use cam_results::Status;
use cam_runner::Event;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Set for the processes of `cambench run --jobs`.
pub(crate) const WORKER: &str = "CAMBENCH_WORKER";

/// A bar with rate, time left and the cell in hand, fed by events.
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    is_worker: bool,
    n_failed: u64,
    /// What is being downloaded.
    url: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        // Of several processes on one terminal, their parent shows how far they are.
        let is_worker = std::env::var_os(WORKER).is_some();
        let is_terminal = std::io::stderr().is_terminal() && !is_worker;
        let target = if is_terminal {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style =
            "{elapsed_precise} [{bar:30}] {pos}/{len} rows, {per_sec}, {eta} left  {wide_msg}";
        bar.set_style(
            ProgressStyle::with_template(style)
                .expect("the template is right")
                .progress_chars("=> "),
        );
        Self { bar, is_terminal, is_worker, n_failed: 0, url: String::new() }
    }

    /// Shows an event.
    pub(crate) fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { .. } | Event::Caution(_) if self.is_worker => {}
            Event::Started { folder, n_rows, n_done, n_dropped } => {
                self.say(&format!("{}: {n_done} of {n_rows} rows are there", folder.display()));
                if *n_dropped > 0 {
                    self.say(&format!("{n_dropped} damaged lines of the journal were dropped; their rows are made again"));
                }
                self.bar.set_length(*n_rows as u64);
                self.bar.set_position(*n_done as u64);
                self.bar.reset_eta();
                self.bar.enable_steady_tick(Duration::from_millis(500));
            }
            Event::Caution(sentence) => self.say(&format!("caution: {sentence}")),
            Event::Downloading(download) => {
                let size = |bytes| HumanBytes(bytes).to_string();
                let total = download.total.map_or("unknown size".to_owned(), size);
                if self.url != download.url {
                    download.url.clone_into(&mut self.url);
                    self.say(&format!("downloading {} ({total})", self.url));
                }
                self.bar.set_message(format!("{} of {total}", size(download.done)));
                self.bar.tick();
            }
            Event::Loading { model } => self.bar.set_message(format!("loading {model}")),
            Event::RowStarted { model, method, image } => {
                self.bar.set_message(format!("{model} · {method} · {image}"));
            }
            Event::RowFinished { record } => {
                self.bar.inc(1);
                if record.status == Status::Failed {
                    self.n_failed += 1;
                    // The first ones are worth a line; the report lists all.
                    if self.n_failed <= 5 {
                        let error = record.error.as_deref().unwrap_or_default();
                        self.say(&format!(
                            "failed: {} · {} · {}: {error}",
                            record.model, record.method, record.image
                        ));
                    }
                }
            }
            Event::Writing => self.bar.set_message("writing tables and plots"),
        }
    }

    /// Some rows were finished elsewhere.
    pub(crate) fn advance(&self, n_rows: u64) {
        self.bar.inc(n_rows);
    }

    /// A line above the bar, or on its own where there is none.
    pub(crate) fn say(&self, line: &str) {
        if self.is_terminal {
            self.bar.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
