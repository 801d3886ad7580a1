//! The journal: an append-only file of rows that survives being cut off anywhere.
//!
//! One line is one row: `{"crc32":"89abcdef","row":{…}}`. The checksum is that of the row's bytes. A line that is torn
//! or damaged is no row, and no line depends on another.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{Curve, Error, Key, RawMap, Record, Result, Row, manifest::Plan};

/// The file's name in a run's folder.
pub(crate) const JOURNAL: &str = "journal.jsonl";

const CRC: &str = r#"{"crc32":""#;
const ROW: &str = r#"","row":"#;
const END: &str = "}\n";
const CRC_DIGITS: usize = 8;

/// A journal that is open for reading.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    plan: Plan,
    /// Where each row of the plan lies; of two rows with one key the first counts.
    rows: Vec<Option<Span>>,
    /// How many of them are there.
    n_rows: usize,
    /// The end of the last whole line.
    end: u64,
    /// How many lines are no row of the plan.
    dropped: usize,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    at: u64,
    len: usize,
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
    /// Reads the journal of a run's folder through, up to its last whole line.
    pub(crate) fn open(folder: &Path, plan: Plan) -> Result<Self> {
        let path = folder.join(JOURNAL);
        let file = File::open(&path).map_err(|source| Error::read(&path, source))?;
        Self::scan(path, file, plan)
    }

    fn scan(path: PathBuf, file: File, plan: Plan) -> Result<Self> {
        let rows = vec![None; plan.n_places()];
        let lines = file.try_clone().map_err(|source| Error::read(&path, source))?;
        let mut lines = BufReader::with_capacity(1 << 20, lines);
        let mut journal = Self { path, file, plan, rows, n_rows: 0, end: 0, dropped: 0 };
        let (mut at, mut line) = (0_u64, Vec::new());
        loop {
            line.clear();
            let len = lines
                .read_until(b'\n', &mut line)
                .map_err(|source| Error::read(&journal.path, source))?;
            if len == 0 {
                return Ok(journal);
            }
            let row: Option<RecordOnly> = decode(&line);
            match row.map(|row| row.record).filter(|record| journal.plan.has(record)) {
                Some(record) => {
                    journal.insert(&record.key(), Span { at, len });
                    journal.end = at + len as u64;
                }
                None => journal.dropped += 1,
            }
            at += len as u64;
        }
    }

    fn insert(&mut self, key: &Key, span: Span) {
        if let Some(place) = self.plan.place(key)
            && self.rows[place].is_none()
        {
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

    /// How many lines are no row of the plan.
    pub(crate) fn n_dropped(&self) -> usize {
        self.dropped
    }

    /// The row of a key, or a part of it, where it is there.
    pub(crate) fn row<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let Some(span) = self.span(key) else { return Ok(None) };
        let mut line = vec![0; span.len];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(span.at))
            .and_then(|_| file.read_exact(&mut line))
            .map_err(|source| Error::read(&self.path, source))?;
        decode(&line).map(Some).ok_or_else(|| Error::Damaged {
            path: self.path.clone(),
            message: format!("the row of {key} changed while it was open"),
        })
    }
}

/// A journal that is open for appending; its folder must be locked.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    journal: Journal,
    /// Whether bytes may lie behind `journal.end`.
    torn: bool,
}

impl JournalWriter {
    /// Opens the journal of a run's folder, made where there is none; a torn or damaged tail is cut off.
    pub(crate) fn open(folder: &Path, plan: Plan) -> Result<Self> {
        let path = folder.join(JOURNAL);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|source| Error::write(&path, source))?;
        let mut writer = Self { journal: Journal::scan(path, file, plan)?, torn: true };
        writer.mend()?;
        Ok(writer)
    }

    /// What is there.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Appends rows, which are on the disk when this returns; one sync serves all of them.
    pub(crate) fn append<'a>(&mut self, rows: impl IntoIterator<Item = &'a Row>) -> Result<()> {
        self.mend()?;
        let mut lines = Vec::new();
        let mut spans = vec![];
        for row in rows {
            let at = lines.len();
            encode(row, &mut lines);
            let span = Span { at: self.journal.end + at as u64, len: lines.len() - at };
            spans.push((row.record.key(), span));
        }
        self.torn = true;
        let file = &mut self.journal.file;
        if let Err(source) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            let error = Error::write(&self.journal.path, source);
            // Half a line may stand there now. If it cannot be cut off now, the next append or open does it.
            let _ = self.mend();
            return Err(error);
        }
        self.torn = false;
        self.journal.end += lines.len() as u64;
        for (key, span) in spans {
            self.journal.insert(&key, span);
        }
        Ok(())
    }

    fn mend(&mut self) -> Result<()> {
        if self.torn {
            let file = &self.journal.file;
            let cut = || {
                if file.metadata()?.len() > self.journal.end {
                    file.set_len(self.journal.end)?;
                    file.sync_data()?;
                }
                Ok(())
            };
            cut().map_err(|source: io::Error| Error::write(&self.journal.path, source))?;
            self.torn = false;
        }
        Ok(())
    }
}

fn crc_digits(json: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(json))
}

fn encode(row: &Row, lines: &mut Vec<u8>) {
    let json = serde_json::to_vec(row).expect("a row is always JSON");
    for part in
        [CRC.as_bytes(), crc_digits(&json).as_bytes(), ROW.as_bytes(), &json, END.as_bytes()]
    {
        lines.extend(part);
    }
}

fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let (digits, rest) = line.strip_prefix(CRC.as_bytes())?.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(ROW.as_bytes())?.strip_suffix(END.as_bytes())?;
    // Bytes and not numbers are compared: `AB` is the same number as `ab`, and was not written here.
    (digits == crc_digits(json).as_bytes()).then(|| serde_json::from_slice(json).ok())?
}
