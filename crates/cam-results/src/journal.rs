//! The journal: append-only files of rows that survive being cut off anywhere.
//!
//! One line is one row: `{"crc32":"89abcdef","row":{…}}`. The checksum is that of the row's bytes. A line that is torn
//! or damaged is no row, and no line depends on another. A run's journal is the file that its own process appends to,
//! and the parts that shards have committed (`shards/`), which are files of the same kind behind a line that says who
//! made them.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    Curve, Error, Key, RawMap, Record, Result, Row,
    disk::{DiskFile, sync_folder},
    files::open,
    manifest::Plan,
    shards::Found,
};

/// The file's name in a run's folder.
pub(crate) const JOURNAL: &str = "journal.jsonl";

const CRC: &str = r#"{"crc32":""#;
const ROW: &str = r#"","row":"#;
const MAKER: &str = r#"","maker":"#;
const END: &str = "}\n";
const CRC_DIGITS: usize = 8;

/// The longest line that is read. A map of 4096 x 4096 numbers takes two thirds of it.
const MAX_LINE: u64 = 128 << 20;

/// How many bytes are read at once where rows are read in their order.
const WINDOW: usize = 1 << 20;

/// How many rows are a group: enough to compress well, few enough to hold with their maps.
const GROUP: usize = 1024;
/// How many bytes of a journal are a group at most, of maps as large as images.
const GROUP_BYTES: usize = 8 << 20;

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

/// Where a row lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    file: u32,
    len: u32,
    at: u64,
}

impl Span {
    /// How many bytes the row has.
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    fn end(self) -> u64 {
        self.at + u64::from(self.len)
    }
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
            let len = read_line(&mut reader, &mut line).map_err(failed)?;
            if len == 0 {
                return Ok(lines);
            }
            let row: Option<PlaceOnly<'_>> = decode(ROW, &line);
            match row.and_then(|row| row.record.place(plan)) {
                Some(place) => {
                    lines.rows.push((place, at, len as u32));
                    lines.end = at + len;
                }
                None if at == 0 && lines.maker.is_none() => {
                    lines.maker = decode(MAKER, &line);
                    match lines.maker {
                        Some(_) => lines.end = len,
                        None => lines.dropped += 1,
                    }
                }
                None => lines.dropped += 1,
            }
            at += len;
        }
    }

    /// The same of a file by its path.
    pub(crate) fn of(path: &Path, plan: &Plan) -> Result<Self> {
        let file = open(path).map_err(|source| Error::read(path, source))?;
        Self::read(path, &file, plan)
    }
}

/// The part of a row that says which one it is; nothing is copied.
#[derive(Deserialize)]
struct PlaceOnly<'a> {
    #[serde(borrow)]
    record: Names<'a>,
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    layer: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    protocol: Cow<'a, str>,
    #[serde(borrow)]
    image: Cow<'a, str>,
    metrics: Vec<IgnoredAny>,
}

impl Names<'_> {
    fn place(&self, plan: &Plan) -> Option<usize> {
        let Self { model, layer, method, protocol, image, metrics } = self;
        (metrics.len() == plan.n_metrics())
            .then(|| plan.place_named([model, layer, method, protocol, image]))?
    }
}

/// Reads a line with its end, and says how long it is. A line that is longer than any row is read over, and is no row.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut len = reader.by_ref().take(MAX_LINE).read_until(b'\n', line)? as u64;
    while len >= MAX_LINE && line.last() != Some(&b'\n') {
        line.clear();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', line)? as u64 {
            0 => break,
            more => len += more,
        }
    }
    if len > MAX_LINE {
        line.clear();
    }
    Ok(len)
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
        let lines = match open(&path) {
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

    /// Where the rows that are there lie, in the order of the plan, and in groups that can be held with their maps.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Vec<Span>> + '_ {
        let mut spans = self.rows.iter().flatten().copied();
        std::iter::from_fn(move || {
            let (mut group, mut n_bytes) = (vec![], 0);
            while group.len() < GROUP && n_bytes < GROUP_BYTES {
                let Some(span) = spans.next() else { break };
                n_bytes += span.len();
                group.push(span);
            }
            (!group.is_empty()).then_some(group)
        })
    }

    /// Rows, or parts of them, in the order given. Those that lie side by side are read at once.
    pub(crate) fn rows<T: DeserializeOwned>(&self, spans: &[Span]) -> Result<Vec<T>> {
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_unstable_by_key(|i| (spans[*i].file, spans[*i].at));
        let is_next = |a: Span, b: Span| (a.file, a.end()) == (b.file, b.at);
        let mut rows: Vec<Option<T>> = spans.iter().map(|_| None).collect();
        let mut open: Option<(u32, File)> = None;
        for side_by_side in order.chunk_by(|a, b| is_next(spans[*a], spans[*b])) {
            let (first, last) =
                (spans[side_by_side[0]], spans[side_by_side[side_by_side.len() - 1]]);
            let path = &self.files[first.file as usize];
            let failed = |source| Error::read(path, source);
            let (_, file) = match open.take() {
                Some(same) if same.0 == first.file => open.insert(same),
                _ => open.insert((first.file, File::open(path).map_err(failed)?)),
            };
            let mut bytes = vec![0; (last.end() - first.at) as usize];
            file.seek(SeekFrom::Start(first.at)).map_err(failed)?;
            file.read_exact(&mut bytes).map_err(failed)?;
            for i in side_by_side {
                let at = (spans[*i].at - first.at) as usize;
                let row = decode(ROW, &bytes[at..at + spans[*i].len()]);
                rows[*i] = Some(row.ok_or_else(|| changed(path, "a row"))?);
            }
        }
        Ok(rows.into_iter().flatten().collect())
    }

    /// The row of a key, or a part of it, where it is there.
    pub(crate) fn row<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let Some(span) = self.span(key) else { return Ok(None) };
        let path = &self.files[span.file as usize];
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let line = window.line(path, span).map_err(|source| Error::read(path, source))?;
        decode(ROW, line).map(Some).ok_or_else(|| changed(path, &format!("the row of {key}")))
    }
}

fn changed(path: &Path, what: &str) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        message: format!("{what} cannot be read, or changed while it was open"),
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
    file: DiskFile,
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
        let failed = |source| Error::write(path, source);
        let is_new = !path.exists();
        if !is_new {
            open(path).map_err(|source| Error::read(path, source))?;
        }
        let file = DiskFile::append(path).map_err(failed)?;
        if is_new {
            sync_parent(path).map_err(failed)?;
        }
        let lines = Lines::read(path, file.file(), &plan)?;
        let journal = Journal::of(path.to_owned(), &lines, plan);
        let mut writer = Self { journal, file, torn: true };
        writer.mend()?;
        Ok(writer)
    }

    /// Makes a file of its own for the rows of a part, where there must be none.
    pub(crate) fn create(path: &Path, plan: Plan, maker: &Maker) -> Result<Self> {
        let failed = |source| Error::write(path, source);
        let mut line = vec![];
        encode(MAKER, maker, &mut line);
        let mut file = DiskFile::create_new(path).map_err(failed)?;
        file.write_all(&line).map_err(failed)?;
        sync_parent(path).map_err(failed)?;
        let lines = Lines { end: line.len() as u64, ..Lines::default() };
        let journal = Journal::of(path.to_owned(), &lines, plan);
        Ok(Self { journal, file, torn: false })
    }

    /// What is there.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Brings all of the file to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|source| self.failed(source))
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
            let error = self.failed(source);
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

    fn failed(&self, source: io::Error) -> Error {
        Error::write(self.file.path(), source)
    }

    fn mend(&mut self) -> Result<()> {
        if self.torn {
            let file = &self.file;
            let cut = || {
                if file.file().metadata()?.len() > self.journal.end {
                    file.set_len(self.journal.end)?;
                    file.sync_data()?;
                }
                Ok(())
            };
            cut().map_err(|source: io::Error| self.failed(source))?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Makes the name of a new file last: the rows that are synced into it would be lost with it.
fn sync_parent(path: &Path) -> io::Result<()> {
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

fn crc_digits(json: &[u8]) -> [u8; CRC_DIGITS] {
    let crc = crc32fast::hash(json);
    std::array::from_fn(|i| b"0123456789abcdef"[(crc >> (28 - 4 * i) & 15) as usize])
}

fn encode<T: Serialize>(word: &str, content: &T, lines: &mut Vec<u8>) {
    let json = serde_json::to_vec(content).expect("a row is always JSON");
    for part in [CRC.as_bytes(), &crc_digits(&json), word.as_bytes(), &json, END.as_bytes()] {
        lines.extend(part);
    }
}

fn decode<'a, T: Deserialize<'a>>(word: &str, line: &'a [u8]) -> Option<T> {
    let (digits, rest) = line.strip_prefix(CRC.as_bytes())?.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(word.as_bytes())?.strip_suffix(END.as_bytes())?;
    // Bytes and not numbers are compared: `AB` is the same number as `ab`, and was not written here.
    (digits == crc_digits(json)).then(|| serde_json::from_slice(json).ok())?
}
