//! The store: a run's folder while its rows are being made.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use crate::{
    Error, Key, MetricEntry, Record, Result, Row, Run, RunManifest, RunStatus,
    disk::{self, sync_folder},
    files::{digest, open, remove_temporaries, temporaries},
    journal::{JOURNAL, Journal, JournalWriter, Span},
    manifest::{MANIFEST, Plan},
    shards,
    summary::Tally,
    tables::{Layout, RowGroup, SHORT_ROWS, TableWriter},
};

pub(crate) const RECORDS: &str = "records.parquet";
pub(crate) const CURVES: &str = "curves.parquet";
pub(crate) const MAPS: &str = "maps.parquet";
const LOCK: &str = ".lock";
/// The last file of a report.
const REPORT: &str = "report.html";

/// A run's folder while its rows are being made: whatever was appended survives a kill or a power cut at any moment,
/// and the same call continues from there.
///
/// A store holds its folder's lock for as long as it lives. Rows may be appended in any order; the finished files do
/// not depend on it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    manifest: RunManifest,
    /// `None` in a finished run.
    writer: Option<Writer>,
    /// What was found wrong with the parts of shards.
    damaged: Vec<String>,
}

#[derive(Debug)]
struct Writer {
    journal: JournalWriter,
    /// Held, not used: the lock ends with it.
    _lock: File,
}

impl Store {
    /// Makes a run's folder, or continues the run in it if that has an equal plan.
    ///
    /// The manifest on disk wins over `manifest` in what is no part of the plan: status, times and command.
    ///
    /// # Errors
    /// Where the folder cannot be read or written, holds another plan's run or a newer schema's, or another process is
    /// writing it; and where two metrics or two rows would have the same name.
    pub fn create_or_continue(folder: &Path, manifest: RunManifest) -> Result<Self> {
        manifest.check_names()?;
        disk::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
        let store = |manifest, writer| Self {
            folder: folder.to_owned(),
            manifest,
            writer,
            damaged: vec![],
        };
        // A finished run with nothing to tidy up is only looked at.
        let leftover = [JOURNAL, LOCK].iter().any(|name| folder.join(name).exists())
            || !temporaries(folder)?.is_empty();
        if !leftover
            && let Some(old) = Self::manifest_in(folder, &manifest)?
            && old.status == RunStatus::Finished
        {
            return Ok(store(old, None));
        }
        let lock = lock(folder)?;
        remove_temporaries(folder)?;
        let manifest = match Self::manifest_in(folder, &manifest)? {
            Some(old) if old.status == RunStatus::Finished => {
                tidy_up(folder)?;
                return Ok(store(old, None));
            }
            Some(old) => old,
            None if folder.join(JOURNAL).exists() => {
                return Err(Error::NoManifest { folder: folder.to_owned() });
            }
            None => {
                // Plots among photographs would be photographs the next time.
                if let Some(file) = other_file(folder)? {
                    return Err(Error::OtherFiles { folder: folder.to_owned(), file });
                }
                let new = RunManifest { status: RunStatus::Running, finished: None, ..manifest };
                new.write(folder)?;
                if let Some(parent) = folder.parent() {
                    sync_folder(parent).map_err(|source| Error::write(parent, source))?;
                }
                new
            }
        };
        let plan = Plan::of(&manifest);
        let parts = shards::read_parts(folder, &manifest, &plan)?;
        let (parts, damaged) = shards::keep_whole(folder, parts)?;
        let made_on = shards::made_on(&parts);
        let journal = JournalWriter::open(folder, plan, parts)?;
        let writer = Some(Writer { journal, _lock: lock });
        Ok(Self { damaged, ..store(RunManifest { made_on, ..manifest }, writer) })
    }

    /// The manifest of the run in a folder, if there is one and it has the plan of `new`; nothing is written.
    ///
    /// # Errors
    /// Where it cannot be read, or has another plan.
    pub fn manifest_in(folder: &Path, new: &RunManifest) -> Result<Option<RunManifest>> {
        if !folder.join(MANIFEST).exists() {
            return Ok(None);
        }
        let old = RunManifest::read(folder)?;
        match old.difference(new) {
            None => Ok(Some(old)),
            Some(difference) => Err(Error::OtherPlan { folder: folder.to_owned(), difference }),
        }
    }

    /// Whether a finished run has its report, all of it: the last file is written behind the others, and one that was made
    /// before the run was finished is gone.
    pub fn has_report(folder: &Path) -> bool {
        folder.join(REPORT).is_file()
    }

    /// Parts of shards that were found damaged when the folder was opened, and are set aside: a sentence each. Their rows
    /// are missing.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// The manifest as it stands in the folder.
    pub fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    /// Whether the run is finished, so that nothing can be appended any more.
    pub fn is_finished(&self) -> bool {
        self.writer.is_none()
    }

    /// Whether a row is there already.
    pub fn contains(&self, key: &Key) -> bool {
        self.journal().is_none_or(|journal| journal.contains(key))
    }

    /// How many rows are there.
    pub fn n_rows(&self) -> usize {
        self.journal().map_or_else(|| self.manifest.n_rows(), Journal::n_rows)
    }

    /// How many lines of the journal were found torn or damaged when the folder was opened; their rows are missing.
    pub fn n_dropped(&self) -> usize {
        self.journal().map_or(0, Journal::n_dropped)
    }

    /// Appends a row, which is on the disk when this returns; a row that is there already stays as it is.
    ///
    /// # Errors
    /// As [`Store::append_all`].
    pub fn append(&mut self, row: &Row) -> Result<()> {
        self.append_all(std::slice::from_ref(row))
    }

    /// Appends rows, which are on the disk when this returns; rows that are there already stay as they are. A disk is
    /// slow to sync and not to write: many rows at once take little longer than one.
    ///
    /// # Errors
    /// Where the journal cannot be written ([`Error::DiskFull`] and others; none of the rows is there then, and the run
    /// can be continued afterwards), the run is finished, or its plan has no such row.
    pub fn append_all(&mut self, rows: &[Row]) -> Result<()> {
        let Some(writer) = &mut self.writer else {
            return Err(Error::Finished { folder: self.folder.clone() });
        };
        let journal = writer.journal.journal();
        if let Some(row) = rows.iter().find(|row| journal.plan().place_of(&row.record).is_none()) {
            let row = row.record.key().to_string();
            return Err(Error::NotPlanned { folder: self.folder.clone(), row });
        }
        let new: Vec<&Row> =
            rows.iter().filter(|row| !journal.contains(&row.record.key())).collect();
        if new.is_empty() { Ok(()) } else { writer.journal.append(new) }
    }

    /// [`Store::close`], and the run read back.
    ///
    /// # Errors
    /// As [`Store::close`] and [`Run::read`].
    pub fn finish(self, finished: &str) -> Result<Run> {
        let folder = self.folder.clone();
        self.close(finished)?;
        Run::read(&folder)
    }

    /// Writes the run's tables in the order of the plan and closes it for good; killed anywhere, the same call
    /// completes it. `finished` is the time, RFC 3339 in UTC.
    ///
    /// # Errors
    /// [`Error::Incomplete`] where rows are missing; where a file cannot be written.
    pub fn close(mut self, finished: &str) -> Result<()> {
        if let Some(writer) = &self.writer {
            let (journal, folder) = (writer.journal.journal(), &self.folder);
            let (planned, missing) =
                (self.manifest.n_rows(), self.manifest.n_rows() - journal.n_rows());
            if missing > 0 {
                return Err(Error::Incomplete { folder: folder.clone(), missing, planned });
            }
            Tables::write(folder, &self.manifest, journal)?;
            self.manifest.tables = digests(folder)?;
            // Of what was there so far: whoever finds a finished run without it writes the report.
            remove(folder, REPORT)?;
            self.manifest.status = RunStatus::Finished;
            self.manifest.finished = Some(finished.to_owned());
            self.manifest.write(folder)?;
            tidy_up(folder)?;
        }
        Ok(())
    }

    /// Writes the tables of the rows that are there, and leaves the run unfinished: for a look at what shards have made so
    /// far. `manifest.json` goes on saying `running`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write_so_far(&self) -> Result<()> {
        self.journal()
            .map_or(Ok(()), |journal| Tables::write(&self.folder, &self.manifest, journal))
    }

    fn journal(&self) -> Option<&Journal> {
        self.writer.as_ref().map(|writer| writer.journal.journal())
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let failed = |source| Error::write(&path, source);
    if path.exists() {
        open(&path).map_err(failed)?;
    }
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    // A process that this one is just starting has the lock of a writer that is gone, until its program is loaded.
    let patience = Instant::now() + Duration::from_millis(300);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::NoLock { folder: folder.to_owned(), source });
            }
        }
    }
}

/// Removes what a finished run does not need, the lock last. Whoever gets hold of it after this finds the run finished, and
/// may be doing the same.
fn tidy_up(folder: &Path) -> Result<()> {
    remove(folder, JOURNAL)?;
    shards::remove_parts(folder)?;
    remove(folder, LOCK)?;
    sync_folder(folder).map_err(|source| Error::write(folder, source))
}

/// Removes a file of a run's folder, if it is there.
fn remove(folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(name);
    match disk::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(path, error)),
        _ => Ok(()),
    }
}

/// SHA-256 of each of the Parquet files, as they lie there.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>> {
    let of = |name: &str| Ok((name.to_owned(), digest(&folder.join(name))?));
    [RECORDS, CURVES, MAPS].into_iter().map(of).collect()
}

/// How many bytes of a journal are decoded at once: enough work for all cores, and little beside what a network needs.
const WINDOW: usize = 64 << 20;

/// The Parquet files and the summary while they are written, each whole or not at all, in one pass over the journal.
struct Tables<'a> {
    layouts: &'a Layouts<'a>,
    records: TableWriter,
    curves: TableWriter,
    maps: TableWriter,
    tally: Tally<'a>,
    /// Records that are not enough for a row group yet.
    waiting: Vec<Record>,
}

/// What the files look like.
struct Layouts<'a> {
    metrics: &'a [MetricEntry],
    records: Layout,
    curves: Layout,
    maps: Layout,
}

/// A group of rows: the records, and the others as they will stand in their files.
struct Group {
    records: Vec<Record>,
    curves: RowGroup,
    maps: RowGroup,
}

impl Tables<'_> {
    /// Writes all rows that are there, in the order of the plan.
    fn write(folder: &Path, manifest: &RunManifest, journal: &Journal) -> Result<()> {
        let layouts = Layouts {
            metrics: &manifest.metrics,
            records: Layout::of_records(&manifest.metrics),
            curves: Layout::of_curves(),
            maps: Layout::of_maps(),
        };
        let mut tables = Tables {
            records: TableWriter::create(&folder.join(RECORDS), &layouts.records)?,
            curves: TableWriter::create(&folder.join(CURVES), &layouts.curves)?,
            maps: TableWriter::create(&folder.join(MAPS), &layouts.maps)?,
            layouts: &layouts,
            tally: Tally::of(manifest),
            waiting: vec![],
        };
        let mut groups = journal.groups().peekable();
        let mut encoded = vec![];
        // One window is encoded on all cores while the one before it is written.
        while !encoded.is_empty() || groups.peek().is_some() {
            let mut n_bytes = 0;
            let window: Vec<Vec<Span>> = std::iter::from_fn(|| {
                let group = groups.next_if(|_| n_bytes < WINDOW)?;
                n_bytes += group.iter().map(|span| span.len()).sum::<usize>();
                Some(group)
            })
            .collect();
            let encode = || window.par_iter().map(|group| layouts.encode(journal, group)).collect();
            let (written, next) = rayon::join(|| tables.write_groups(encoded), encode);
            written?;
            encoded = next;
        }
        tables.finish(folder)
    }

    fn write_groups(&mut self, groups: Vec<Result<Group>>) -> Result<()> {
        for group in groups {
            let Group { records, curves, maps } = group?;
            self.curves.write(&curves)?;
            self.maps.write(&maps)?;
            for record in records {
                self.tally.add(&record);
                self.waiting.push(record);
                if self.waiting.len() == SHORT_ROWS {
                    self.write_waiting()?;
                }
            }
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<()> {
        let Layouts { metrics, records, .. } = self.layouts;
        self.records.write(&records.encode_records(metrics, &self.waiting))?;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> Result<()> {
        self.write_waiting()?;
        self.records.finish()?;
        self.curves.finish()?;
        self.maps.finish()?;
        let (summary, _) = self.tally.cells();
        summary.write(folder)
    }
}

impl Layouts<'_> {
    fn encode(&self, journal: &Journal, group: &[Span]) -> Result<Group> {
        let rows: Vec<Row> = journal.rows(group)?;
        Ok(Group {
            curves: self.curves.encode_curves(&rows),
            maps: self.maps.encode_maps(&rows),
            records: rows.into_iter().map(|row| row.record).collect(),
        })
    }
}

/// A file or folder that is there where a new run is to be, by its name; what is hidden does not count.
fn other_file(folder: &Path) -> Result<Option<String>> {
    let entries = fs::read_dir(folder).map_err(|source| Error::read(folder, source))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names.into_iter().next())
}

#[cfg(test)]
mod tests {
    use std::{process::Command, sync::LazyLock};

    use polars::prelude::{ParquetReader, SerReader};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        RawMap, SCHEMA,
        files::temporary_of_nobody,
        testing::{manifest, rows},
    };

    const FINISHED: &str = "2026-01-02T04:00:00Z";

    /// Every file of a folder with its bytes.
    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
            })
            .collect()
    }

    fn open(folder: &Path) -> Store {
        Store::create_or_continue(folder, manifest()).unwrap()
    }

    /// Appends whatever is missing and finishes.
    fn complete(folder: &Path) -> Run {
        let mut store = open(folder);
        for row in rows(&manifest()) {
            if !store.contains(&row.record.key()) {
                store.append(&row).unwrap();
            }
        }
        store.finish(FINISHED).unwrap()
    }

    /// The files of a run that was never interrupted.
    fn uninterrupted() -> BTreeMap<String, Vec<u8>> {
        static FILES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
            let folder = tempfile::tempdir().unwrap();
            complete(folder.path());
            files(folder.path())
        });
        FILES.clone()
    }

    #[test]
    fn a_run_is_not_begun_among_other_files_and_leaves_them_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cat.jpg"), "a photograph").unwrap();
        let error = Store::create_or_continue(folder.path(), manifest()).map(drop).unwrap_err();
        assert!(error.to_string().contains("holds `cat.jpg` and no run"), "{error}");
        assert!(!folder.path().join(MANIFEST).exists());
        fs::rename(folder.path().join("cat.jpg"), folder.path().join(".hidden")).unwrap();
        complete(folder.path());
    }

    /// A folder with an unfinished run of all rows, and its journal.
    fn unfinished() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for row in rows(&manifest()) {
            store.append(&row).unwrap();
        }
        drop(store);
        let journal = fs::read(folder.path().join(JOURNAL)).unwrap();
        (folder, journal)
    }

    #[test]
    fn a_finished_run_has_the_files_of_the_contract_and_no_others() {
        let files = uninterrupted();
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            ["curves.parquet", "manifest.json", "maps.parquet", "records.parquet", "summary.csv"]
        );
        let manifest: RunManifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest.status, RunStatus::Finished);
        assert_eq!(manifest.finished.as_deref(), Some(FINISHED));
    }

    #[test]
    fn a_finished_run_reads_back_as_what_was_appended() {
        let folder = tempfile::tempdir().unwrap();
        let run = complete(folder.path());
        let rows = rows(&manifest());
        assert_eq!(run.records(), rows.iter().map(|row| row.record.clone()).collect::<Vec<_>>());
        assert_eq!(run.n_missing(), 0);

        let mut curves = vec![];
        run.visit_curves(|key, curve| curves.push((key.clone(), curve.clone()))).unwrap();
        let expected = rows
            .iter()
            .flat_map(|row| row.curves.iter().map(|curve| (row.record.key(), curve.clone())));
        assert_eq!(curves, expected.collect::<Vec<_>>());

        let bits = |map: &RawMap| map.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let mut maps = vec![];
        run.visit_maps(|key, map| maps.push((key.clone(), map.height, map.width, bits(map))))
            .unwrap();
        let expected = rows.iter().filter_map(|row| {
            row.map.as_ref().map(|map| (row.record.key(), map.height, map.width, bits(map)))
        });
        assert_eq!(maps, expected.collect::<Vec<_>>());
    }

    #[test]
    fn an_unfinished_run_reads_back_in_the_order_of_the_plan() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let rows = rows(&manifest());
        for i in [5, 0, 3] {
            store.append(&rows[i]).unwrap();
        }
        let run = Run::read(folder.path()).unwrap();
        assert_eq!(run.n_missing(), 6);
        assert_eq!(run.records(), [0, 3, 5].map(|i| rows[i].record.clone()));
        let mut n_curves = 0;
        run.visit_curves(|_, _| n_curves += 1).unwrap();
        let mut n_maps = 0;
        run.visit_maps(|_, _| n_maps += 1).unwrap();
        assert_eq!((n_curves, n_maps), (3, 3));
    }

    #[test]
    fn every_cut_of_the_journal_keeps_exactly_the_whole_lines_before_it() {
        let (folder, journal) = unfinished();
        let path = folder.path().join(JOURNAL);
        for length in (0..journal.len()).rev() {
            fs::write(&path, &journal[..length]).unwrap();
            let store = open(folder.path());
            let whole = journal[..length].iter().filter(|&&byte| byte == b'\n').count();
            let torn = usize::from(length > 0 && journal[length - 1] != b'\n');
            assert_eq!((store.n_rows(), store.n_dropped()), (whole, torn), "cut at {length}");
            let last =
                journal[..length].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            assert_eq!(fs::metadata(&path).unwrap().len(), last as u64, "cut at {length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_run_cut_off_anywhere_and_continued_has_the_files_of_one_that_never_was(cut in any::<prop::sample::Index>()) {
            let (folder, journal) = unfinished();
            fs::write(folder.path().join(JOURNAL), &journal[..cut.index(journal.len() + 1)]).unwrap();
            complete(folder.path());
            prop_assert!(files(folder.path()) == uninterrupted());
        }

        #[test]
        fn the_order_of_appending_does_not_show(order in Just((0..9).collect::<Vec<_>>()).prop_shuffle()) {
            let folder = tempfile::tempdir().unwrap();
            let mut store = open(folder.path());
            let rows = rows(&manifest());
            for i in order {
                store.append(&rows[i]).unwrap();
            }
            store.finish(FINISHED).unwrap();
            prop_assert!(files(folder.path()) == uninterrupted());
        }

        #[test]
        fn a_flipped_bit_costs_at_most_the_lines_that_it_touches(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let (folder, mut journal) = unfinished();
            let at = at.index(journal.len());
            journal[at] ^= 1_u8 << bit;
            fs::write(folder.path().join(JOURNAL), &journal).unwrap();
            let store = open(folder.path());
            // A flip may also join two lines, or split one.
            prop_assert!(store.n_rows() >= 7 && store.n_rows() < 9, "{} rows", store.n_rows());
            prop_assert!(store.n_dropped() > 0);
            drop(store);
            complete(folder.path());
            prop_assert!(files(folder.path()) == uninterrupted());
        }
    }

    #[test]
    fn a_checksum_in_capitals_is_damaged() {
        let (folder, mut journal) = unfinished();
        let letter = (11..19).find(|&at| journal[at].is_ascii_lowercase()).unwrap();
        journal[letter].make_ascii_uppercase();
        fs::write(folder.path().join(JOURNAL), &journal).unwrap();
        let store = open(folder.path());
        assert_eq!((store.n_rows(), store.n_dropped()), (8, 1));
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_dropped_and_only_its_row_is_missing() {
        let (folder, journal) = unfinished();
        let mut lines: Vec<Vec<u8>> =
            journal.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        let digit = lines[3].iter().rposition(u8::is_ascii_digit).unwrap();
        lines[3][digit] = if lines[3][digit] == b'7' { b'8' } else { b'7' };
        fs::write(folder.path().join(JOURNAL), lines.concat()).unwrap();

        let store = open(folder.path());
        assert_eq!((store.n_rows(), store.n_dropped()), (8, 1));
        let missing: Vec<_> = manifest().plan().filter(|key| !store.contains(key)).collect();
        assert_eq!(missing, [rows(&manifest())[3].record.key()]);
        drop(store);
        complete(folder.path());
        assert!(files(folder.path()) == uninterrupted());
    }

    #[test]
    fn a_finish_killed_between_any_two_steps_is_completed_by_the_same_call() {
        let done = uninterrupted();
        let (folder, journal) = unfinished();
        let running = fs::read(folder.path().join(MANIFEST)).unwrap();
        let steps = [RECORDS, crate::summary::FILE, CURVES, MAPS, MANIFEST];
        for n_done in 0..=steps.len() {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(MANIFEST), &running).unwrap();
            fs::write(folder.path().join(JOURNAL), &journal).unwrap();
            fs::write(folder.path().join(LOCK), "").unwrap();
            for name in &steps[..n_done] {
                fs::write(folder.path().join(name), &done[*name]).unwrap();
            }
            // The step that it was killed in has left half a hidden file.
            let half = temporary_of_nobody("maps.parquet");
            fs::write(folder.path().join(half), "half").unwrap();
            complete(folder.path());
            assert!(files(folder.path()) == done, "killed after {n_done} steps");
        }
    }

    #[test]
    fn a_finished_run_is_never_changed() {
        let folder = tempfile::tempdir().unwrap();
        complete(folder.path());
        let before = files(folder.path());
        let mut store = open(folder.path());
        assert!(store.is_finished());
        assert_eq!(store.n_rows(), 9);
        let row = &rows(&manifest())[0];
        assert!(store.contains(&row.record.key()));
        assert!(matches!(store.append(row), Err(Error::Finished { .. })));
        assert_eq!(store.finish("2033-01-01T00:00:00Z").unwrap().records().len(), 9);
        assert!(files(folder.path()) == before);
    }

    #[test]
    fn half_a_report_of_a_killed_process_does_not_stay_in_a_finished_run() {
        let folder = tempfile::tempdir().unwrap();
        complete(folder.path());
        fs::write(folder.path().join(temporary_of_nobody("report.md")), "half").unwrap();
        assert!(open(folder.path()).is_finished());
        assert!(files(folder.path()) == uninterrupted());
    }

    #[test]
    fn a_report_of_what_was_there_so_far_is_none_of_the_finished_run() {
        let (folder, _) = unfinished();
        fs::write(folder.path().join(REPORT), "the run is not complete").unwrap();
        complete(folder.path());
        assert!(!Store::has_report(folder.path()));
        assert!(files(folder.path()) == uninterrupted());
    }

    #[test]
    fn the_first_of_two_rows_with_one_key_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut row = rows(&manifest()).swap_remove(0);
        store.append(&row).unwrap();
        row.record.explain_secs = 99.0;
        store.append(&row).unwrap();
        drop(store);
        // Also where two journals were put together by hand.
        let path = folder.path().join(JOURNAL);
        let once = fs::read(&path).unwrap();
        fs::write(&path, [&once[..], &once[..]].concat()).unwrap();
        let store = open(folder.path());
        assert_eq!((store.n_rows(), store.n_dropped()), (1, 0));
        assert!(Run::read(folder.path()).unwrap().records()[0].explain_secs < 1.0);
    }

    #[test]
    fn numbers_that_are_not_finite_become_null_and_maps_keep_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut row = rows(&manifest()).swap_remove(0);
        row.record.metrics[0] = Some(f64::NAN);
        row.record.confidence = Some(f64::INFINITY);
        row.map.as_mut().unwrap().values[1] = f32::NEG_INFINITY;
        store.append(&row).unwrap();
        let run = Run::read(folder.path()).unwrap();
        assert_eq!((run.records()[0].metrics[0], run.records()[0].confidence), (None, None));
        run.visit_maps(|_, map| {
            assert_eq!(map.values[1].to_bits(), f32::NEG_INFINITY.to_bits());
        })
        .unwrap();
    }

    #[test]
    fn large_maps_make_small_row_groups_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut all = rows(&manifest());
        for (i, row) in all.iter_mut().enumerate() {
            let values = vec![i as f32; 512 * 512];
            row.map = Some(RawMap { height: 512, width: 512, values });
        }
        let mut store = open(folder.path());
        store.append_all(&all).unwrap();
        let run = store.finish(FINISHED).unwrap();
        // A row has 1.4 MB in the journal.
        let file = File::open(folder.path().join(MAPS)).unwrap();
        assert_eq!(ParquetReader::new(file).get_metadata().unwrap().row_groups.len(), 2);
        let mut firsts = vec![];
        run.visit_maps(|_, map| firsts.push((map.values[0], map.values.len()))).unwrap();
        assert_eq!(firsts, (0..9).map(|i| (i as f32, 512 * 512)).collect::<Vec<_>>());
    }

    #[test]
    fn a_second_writer_is_refused_until_the_first_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let error = Store::create_or_continue(folder.path(), manifest()).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        drop(store);
        open(folder.path());
    }

    #[test]
    fn of_several_that_finish_a_run_at_once_each_ends_well_or_says_that_another_is_at_it() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let path = folder.path().join("run");
            open(&path).append_all(&rows(&manifest())).unwrap();
            let close = || Store::create_or_continue(&path, manifest())?.close(FINISHED);
            let ends: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(close)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(ends.iter().any(Result::is_ok));
            for end in ends {
                assert!(matches!(end, Ok(()) | Err(Error::Locked { .. })), "{end:?}");
            }
            assert!(files(&path) == uninterrupted());
            fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn a_run_is_not_continued_under_another_plan() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        let mut other = manifest();
        other.methods[1].options = json!({ "n_masks": 4000 });
        let error = Store::create_or_continue(folder.path(), other).unwrap_err().to_string();
        assert!(error.contains("(methods[1].options.n_masks was 500, is 4000)"), "{error}");
    }

    #[test]
    fn rows_outside_the_plan_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut row = rows(&manifest()).swap_remove(0);
        row.record.protocol = "rise-2018".into();
        let error = store.append(&row).unwrap_err().to_string();
        assert!(
            error
                .ends_with("no row for cam of resnet18 at layer4 (rise-2018) on a.jpg in its plan"),
            "{error}"
        );
    }

    #[test]
    fn an_incomplete_run_says_how_much_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.append(&rows(&manifest())[0]).unwrap();
        let error = store.finish(FINISHED).unwrap_err();
        assert!(matches!(error, Error::Incomplete { missing: 8, planned: 9, .. }), "{error}");
    }

    #[test]
    fn a_run_without_images_finishes_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = RunManifest { images: vec![], ..manifest() };
        let run =
            Store::create_or_continue(folder.path(), manifest).unwrap().finish(FINISHED).unwrap();
        assert!(run.records().is_empty());
        run.visit_maps(|_, _| panic!("there is no map")).unwrap();
        run.visit_curves(|_, _| panic!("there is no curve")).unwrap();
    }

    #[test]
    fn tables_of_a_newer_schema_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        complete(folder.path());
        let path = folder.path().join(RECORDS);
        // The version stands in the footer as text; the footer has no checksum.
        let old = fs::read(&path).unwrap();
        let name = b"cambench_schema";
        let key = old.windows(name.len()).rposition(|window| window == name).unwrap();
        let digit = key + old[key..].iter().position(|&byte| byte == b'0' + SCHEMA as u8).unwrap();
        let mut new = old.clone();
        new[digit] += 1;
        fs::write(&path, new).unwrap();
        // Whoever writes another version writes another hash.
        let mut manifest = RunManifest::read(folder.path()).unwrap();
        manifest.tables.clear();
        manifest.write(folder.path()).unwrap();
        let error = Run::read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("records.parquet was written by schema 2, this cambench reads up to 1; update cambench"), "{error}");
        fs::write(&path, &old[..old.len() / 2]).unwrap();
        assert!(matches!(Run::read(folder.path()), Err(Error::Damaged { .. })));
    }

    /// In a small file system of its own, where the system lets an ordinary user mount one.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_named_and_the_run_can_be_continued_afterwards() {
        const INSIDE: &str = "CAM_RESULTS_IN_A_SMALL_FILE_SYSTEM";
        let Some(folder) = std::env::var_os(INSIDE) else {
            let name = std::thread::current().name().unwrap().to_owned();
            let folder = tempfile::tempdir().unwrap();
            let script = r#"mount -t tmpfs -o size=64k none "$0" || exit 77; exec "$@""#;
            let status = Command::new("unshare")
                .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
                .arg(folder.path())
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", &name, "--nocapture"])
                .env(INSIDE, folder.path())
                .status();
            match status {
                Ok(status) if status.success() => {}
                Ok(status) if status.code() != Some(77) && status.code() != Some(1) => {
                    panic!("{status}")
                }
                other => println!("skipped: no small file system can be mounted here ({other:?})"),
            }
            return;
        };
        let folder = Path::new(&folder);
        let ballast = folder.join("ballast");
        let mut store = open(folder);
        let rows = rows(&manifest());
        store.append(&rows[0]).unwrap();

        // The journal runs out of space in the middle of a line.
        let mut large = rows[1].clone();
        large.map = Some(RawMap { height: 128, width: 128, values: vec![0.5; 128 * 128] });
        let error = store.append(&large).unwrap_err();
        assert!(
            matches!(&error, Error::DiskFull { path, .. } if path.ends_with(JOURNAL)),
            "{error}"
        );
        // It does not spoil the line after it, in this process or the next.
        store.append(&rows[1]).unwrap();
        drop(store);
        let mut store = open(folder);
        assert_eq!((store.n_rows(), store.n_dropped()), (2, 0));
        for row in &rows[2..] {
            store.append(row).unwrap();
        }

        // The tables run out of space.
        let mut size = 64 << 10;
        while fs::write(&ballast, vec![0; size]).is_err() {
            size -= 512;
        }
        let error = store.finish(FINISHED).unwrap_err();
        assert!(
            matches!(&error, Error::DiskFull { path, .. } if path.ends_with(RECORDS)),
            "{error}"
        );
        fs::remove_file(&ballast).unwrap();
        open(folder).finish(FINISHED).unwrap();
        assert!(files(folder) == uninterrupted());
    }
}
