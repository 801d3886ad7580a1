//! Where the time of a command went: its spans, thread by thread, as a file for Perfetto or Chrome's `about:tracing`.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Instant,
};

use serde_json::{Map, Value, json};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// The spans of this process, from the moment on at which it was started; about 200 bytes of memory each.
pub(crate) struct Trace(Arc<Spans>);

impl Trace {
    /// Starts to listen to all threads.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let spans = Arc::new(Spans {
            start: Instant::now(),
            next_id: AtomicU64::new(1),
            log: Mutex::default(),
        });
        tracing::subscriber::set_global_default(Listener(Arc::clone(&spans)))?;
        Ok(Self(spans))
    }

    /// Writes the spans that have ended: a [trace of JSON objects][format], whole or not at all.
    ///
    /// [format]: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    pub(crate) fn write(&self, path: &Path) -> cam_results::Result<()> {
        let log = self.0.log();
        cam_results::write_atomically(path, |file| {
            writeln!(file, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
            let threads = log.threads.iter().enumerate().map(|(tid, (_, name))| {
                json!({ "ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": { "name": name } })
            });
            for (i, event) in threads.chain(log.ended.iter().map(Ended::json)).enumerate() {
                let separator = if i == 0 { "" } else { ",\n" };
                write!(file, "{separator}{event}")?;
            }
            writeln!(file, "\n]}}")
        })
    }
}

/// What all threads write to and the end reads.
struct Spans {
    start: Instant,
    next_id: AtomicU64,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// The threads that were seen, with their names; a thread's place is its number.
    threads: Vec<(ThreadId, String)>,
    open: HashMap<u64, Open>,
    ended: Vec<Ended>,
}

/// A span that was made and not closed.
struct Open {
    name: &'static str,
    fields: Fields,
    entered: Instant,
}

/// A time that a thread spent in a span.
struct Ended {
    name: &'static str,
    fields: Fields,
    thread: usize,
    /// Microseconds since the start.
    at: f64,
    /// Microseconds.
    long: f64,
}

type Fields = Vec<(&'static str, Value)>;

impl Ended {
    /// A field `name` is what sorts spans of one kind: `explain` of `rise` is the span `explain rise`.
    fn json(&self) -> Value {
        let mut name = self.name.to_owned();
        let mut args = Map::new();
        for (field, value) in &self.fields {
            match value.as_str().filter(|_| *field == "name") {
                Some(kind) => name = format!("{name} {kind}"),
                None => {
                    args.insert((*field).to_owned(), value.clone());
                }
            }
        }
        json!({
            "ph": "X", "pid": 1, "tid": self.thread, "ts": self.at, "dur": self.long, "name": name, "args": args
        })
    }
}

impl Spans {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A log of spans is never half-changed.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// This thread's number.
    fn thread(&mut self) -> usize {
        let this = thread::current();
        self.threads.iter().position(|(id, _)| *id == this.id()).unwrap_or_else(|| {
            let name = this.name().unwrap_or("worker").to_owned();
            self.threads.push((this.id(), name));
            self.threads.len() - 1
        })
    }
}

/// The spans as `tracing` fills them. Ours are never cloned, and entered by one thread at a time.
struct Listener(Arc<Spans>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("cam")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let mut fields = Reader::default();
        span.record(&mut fields);
        let name = span.metadata().name();
        self.0.log().open.insert(id, Open { name, fields: fields.0, entered: Instant::now() });
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Reader::default();
        values.record(&mut fields);
        if let Some(open) = self.0.log().open.get_mut(&span.into_u64()) {
            open.fields.extend(fields.0);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        if let Some(open) = self.0.log().open.get_mut(&span.into_u64()) {
            open.entered = Instant::now();
        }
    }

    fn exit(&self, span: &Id) {
        let now = Instant::now();
        let mut log = self.0.log();
        let thread = log.thread();
        if let Some(Open { name, fields, entered }) = log.open.get(&span.into_u64()) {
            let micros = |from: Instant, to: Instant| (to - from).as_nanos() as f64 / 1e3;
            let ended = Ended {
                name,
                fields: fields.clone(),
                thread,
                at: micros(self.0.start, *entered),
                long: micros(*entered, now),
            };
            log.ended.push(ended);
        }
    }

    fn try_close(&self, span: Id) -> bool {
        self.0.log().open.remove(&span.into_u64()).is_some()
    }
}

/// Reads a span's fields.
#[derive(Default)]
struct Reader(Fields);

impl Visit for Reader {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}").into()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }
}
