//! The journal: append-only files of rows that survive being cut off anywhere.
//!
//! One line is one row: `{"crc32":"89abcdef","row":{…}}`. The checksum is that of the row's bytes. A line that is torn
//! or damaged is no row, and no line depends on another. A run's journal is the file that its own process appends to,
//! and the parts that shards have committed (`shards/`), which are files of the same kind behind a line that says who
//! made them.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Curve, Error, Key, RawMap, Record, Result, Row, manifest::Plan, shards::Found};

/// The file's name in a run's folder.
pub(crate) const JOURNAL: &str = "journal.jsonl";

const CRC: &str = r#"{"crc32":""#;
const ROW: &str = r#"","row":"#;
const MAKER: &str = r#"","maker":"#;
const END: &str = "}\n";
const CRC_DIGITS: usize = 8;

/// How many bytes are read at once where rows are read in their order.
const WINDOW: usize = 1 << 20;

/// Who made the rows of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// [`ShardPlan::id`](crate::ShardPlan::id) of the plan that it followed.
    pub plan: String,
    /// The shard.
    pub shard: usize,
    /// The device by its full name, e.g. `NVIDIA H100`.
    pub device: String,
    /// The host's name.
    pub host: String,
}

/// A journal that is open for reading: which rows there are, and where.
#[derive(Debug)]
pub(crate) struct Journal {
    plan: Plan,
    files: Vec<PathBuf>,
    /// Where each row of the plan lies; of two rows with one key the first counts.
    rows: Vec<Option<Span>>,
    /// How many of them are there.
    n_rows: usize,
    /// The end of the last whole line of the first file.
    end: u64,
    /// How many lines of the first file are no row of the plan.
    dropped: usize,
    window: Mutex<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    file: u32,
    len: u32,
    at: u64,
}

/// What was read last: rows lie in their files in nearly the order in which they are asked for.
#[derive(Debug, Default)]
struct Window {
    file: Option<(u32, File)>,
    at: u64,
    bytes: Vec<u8>,
}

/// What lines a file holds.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Who made it, where its first line says so.
    pub(crate) maker: Option<Maker>,
    /// Every row of the plan, by its place, with where it lies: its start and its length.
    pub(crate) rows: Vec<(usize, u64, u32)>,
    /// The end of the last whole line.
    pub(crate) end: u64,
    /// How many lines are no row of the plan.
    pub(crate) dropped: usize,
}

impl Lines {
    /// Reads a file through, up to its last whole line.
    pub(crate) fn read(path: &Path, file: &File, plan: &Plan) -> Result<Self> {
        let failed = |source| Error::read(path, source);
        let mut reader = BufReader::with_capacity(WINDOW, file);
        let (mut lines, mut at, mut line) = (Self::default(), 0_u64, Vec::new());
        loop {
            line.clear();
            let len = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if len == 0 {
                return Ok(lines);
            }
            let row: Option<RecordOnly> = decode(ROW, &line);
            match row.and_then(|row| plan.place_of(&row.record)) {
                Some(place) => {
                    lines.rows.push((place, at, len as u32));
                    lines.end = at + len as u64;
                }
                None if at == 0 && lines.maker.is_none() => {
                    lines.maker = decode(MAKER, &line);
                    match lines.maker {
                        Some(_) => lines.end = len as u64,
                        None => lines.dropped += 1,
                    }
                }
                None => lines.dropped += 1,
            }
            at += len as u64;
        }
    }

    /// The same of a file by its path.
    pub(crate) fn of(path: &Path, plan: &Plan) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::read(path, source))?;
        Self::read(path, &file, plan)
    }
}

/// The part of a row that a table needs: what is not asked for is not decoded.
#[derive(Deserialize)]
pub(crate) struct RecordOnly {
    pub(crate) record: Record,
}

/// As [`RecordOnly`].
#[derive(Deserialize)]
pub(crate) struct CurvesOnly {
    #[serde(default)]
    pub(crate) curves: Vec<Curve>,
}

/// As [`RecordOnly`].
#[derive(Deserialize)]
pub(crate) struct MapOnly {
    pub(crate) map: Option<RawMap>,
}

impl Journal {
    /// Reads the journal of a run's folder: its own file, where there is one, and its parts. A part that is damaged counts
    /// as far as it is whole.
    pub(crate) fn open(folder: &Path, plan: Plan, parts: Vec<Found>) -> Result<Self> {
        let path = folder.join(JOURNAL);
        let lines = match File::open(&path) {
            Ok(file) => Lines::read(&path, &file, &plan)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Lines::default(),
            Err(source) => return Err(Error::read(&path, source)),
        };
        let mut journal = Self::of(path, &lines, plan);
        journal.add_parts(parts);
        Ok(journal)
    }

    /// Of one file.
    pub(crate) fn of(path: PathBuf, lines: &Lines, plan: Plan) -> Self {
        let mut journal = Self {
            rows: vec![None; plan.n_places()],
            plan,
            files: vec![],
            n_rows: 0,
            end: lines.end,
            dropped: lines.dropped,
            window: Mutex::default(),
        };
        journal.add(path, lines);
        journal
    }

    fn add(&mut self, path: PathBuf, lines: &Lines) {
        let file = self.files.len() as u32;
        self.files.push(path);
        for &(place, at, len) in &lines.rows {
            self.insert(place, Span { file, len, at });
        }
    }

    /// Adds what shards have committed.
    fn add_parts(&mut self, parts: Vec<Found>) {
        for Found { path, lines, .. } in parts {
            self.add(path, &lines);
        }
    }

    fn insert(&mut self, place: usize, span: Span) {
        if self.rows[place].is_none() {
            self.rows[place] = Some(span);
            self.n_rows += 1;
        }
    }

    fn span(&self, key: &Key) -> Option<Span> {
        self.rows[self.plan.place(key)?]
    }

    /// Which rows may be there.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether a row is there.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.span(key).is_some()
    }

    /// How many rows are there.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// How many lines of the journal's own file are no row of the plan.
    pub(crate) fn n_dropped(&self) -> usize {
        self.dropped
    }

    /// The row of a key, or a part of it, where it is there.
    pub(crate) fn row<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let Some(span) = self.span(key) else { return Ok(None) };
        let path = &self.files[span.file as usize];
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let line = window.line(path, span).map_err(|source| Error::read(path, source))?;
        decode(ROW, line).map(Some).ok_or_else(|| Error::Damaged {
            path: path.clone(),
            message: format!("the row of {key} changed while it was open"),
        })
    }
}

impl Window {
    fn line(&mut self, path: &Path, span: Span) -> io::Result<&[u8]> {
        let is_open = self.file.as_ref().is_some_and(|(file, _)| *file == span.file);
        let end = span.at + u64::from(span.len);
        if !is_open || span.at < self.at || end > self.at + self.bytes.len() as u64 {
            let (_, file) = match self.file.take().filter(|_| is_open) {
                Some(open) => self.file.insert(open),
                None => self.file.insert((span.file, File::open(path)?)),
            };
            file.seek(SeekFrom::Start(span.at))?;
            self.at = span.at;
            self.bytes.clear();
            file.take(WINDOW.max(span.len as usize) as u64).read_to_end(&mut self.bytes)?;
        }
        let start = (span.at - self.at) as usize;
        self.bytes
            .get(start..start + span.len as usize)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// A journal that is open for appending, by one process.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    journal: Journal,
    path: PathBuf,
    file: File,
    /// Whether bytes may lie behind `journal.end`.
    torn: bool,
}

impl JournalWriter {
    /// Opens the journal of a run's folder, made where there is none; a torn or damaged tail is cut off. The folder must
    /// be locked.
    pub(crate) fn open(folder: &Path, plan: Plan, parts: Vec<Found>) -> Result<Self> {
        let mut writer = Self::reopen(&folder.join(JOURNAL), plan)?;
        writer.journal.add_parts(parts);
        Ok(writer)
    }

    /// Opens one file, made where there is none; a torn or damaged tail is cut off. No other process may write it.
    pub(crate) fn reopen(path: &Path, plan: Plan) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|source| Error::write(path, source))?;
        let lines = Lines::read(path, &file, &plan)?;
        let journal = Journal::of(path.to_owned(), &lines, plan);
        let mut writer = Self { journal, path: path.to_owned(), file, torn: true };
        writer.mend()?;
        Ok(writer)
    }

    /// Makes a file of its own for the rows of a part, where there must be none.
    pub(crate) fn create(path: &Path, plan: Plan, maker: &Maker) -> Result<Self> {
        let failed = |source| Error::write(path, source);
        let mut line = vec![];
        encode(MAKER, maker, &mut line);
        let mut file =
            OpenOptions::new().append(true).create_new(true).open(path).map_err(failed)?;
        file.write_all(&line).map_err(failed)?;
        let lines = Lines { end: line.len() as u64, ..Lines::default() };
        let journal = Journal::of(path.to_owned(), &lines, plan);
        Ok(Self { journal, path: path.to_owned(), file, torn: false })
    }

    /// What is there.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Brings all of the file to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|source| Error::write(&self.path, source))
    }

    /// Appends rows, which are on the disk when this returns; one sync serves all of them.
    pub(crate) fn append<'a>(&mut self, rows: impl IntoIterator<Item = &'a Row>) -> Result<()> {
        self.mend()?;
        let mut lines = Vec::new();
        let mut spans = vec![];
        for row in rows {
            let at = lines.len();
            encode(ROW, row, &mut lines);
            let (at, len) = (self.journal.end + at as u64, (lines.len() - at) as u32);
            let place = self.journal.plan.place(&row.record.key());
            spans.extend(place.map(|place| (place, Span { file: 0, len, at })));
        }
        self.torn = true;
        let file = &mut self.file;
        if let Err(source) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            let error = Error::write(&self.path, source);
            // Half a line may stand there now. If it cannot be cut off now, the next append or open does it.
            let _ = self.mend();
            return Err(error);
        }
        self.torn = false;
        self.journal.end += lines.len() as u64;
        for (place, span) in spans {
            self.journal.insert(place, span);
        }
        Ok(())
    }

    fn mend(&mut self) -> Result<()> {
        if self.torn {
            let file = &self.file;
            let cut = || {
                if file.metadata()?.len() > self.journal.end {
                    file.set_len(self.journal.end)?;
                    file.sync_data()?;
                }
                Ok(())
            };
            cut().map_err(|source: io::Error| Error::write(&self.path, source))?;
            self.torn = false;
        }
        Ok(())
    }
}

fn crc_digits(json: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(json))
}

fn encode<T: Serialize>(word: &str, content: &T, lines: &mut Vec<u8>) {
    let json = serde_json::to_vec(content).expect("a row is always JSON");
    for part in
        [CRC.as_bytes(), crc_digits(&json).as_bytes(), word.as_bytes(), &json, END.as_bytes()]
    {
        lines.extend(part);
    }
}

fn decode<T: DeserializeOwned>(word: &str, line: &[u8]) -> Option<T> {
    let (digits, rest) = line.strip_prefix(CRC.as_bytes())?.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(word.as_bytes())?.strip_suffix(END.as_bytes())?;
    // Bytes and not numbers are compared: `AB` is the same number as `ab`, and was not written here.
    (digits == crc_digits(json).as_bytes()).then(|| serde_json::from_slice(json).ok())?
}
