//! The rows of one shard while they are being made, and the moment when they become a part of the run.

use std::{
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    DAMAGED, FAILED, ShardPlan, make_folder, names, part_path, parts_folder, problem, set_aside,
    shards_folder,
};
use crate::{
    Error, Key, Result, Row, RunManifest,
    disk::{self, sync_folder},
    files::{is_running, link_new, plain},
    journal::{Journal, JournalWriter, Lines, Maker},
    manifest::Plan,
};

/// A shard's rows while they are being made: a file of this process alone, which becomes a part of the run when it is
/// whole.
///
/// Whatever was appended survives a kill: the next attempt at the shard, on a device of the same kind, takes it over.
#[derive(Debug)]
pub struct Part {
    run: PathBuf,
    manifest: RunManifest,
    maker: Maker,
    draft: PathBuf,
    writer: JournalWriter,
}

/// How a shard came to be a part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// By these rows.
    First,
    /// Another process was first, and whether its rows are the same but for the times.
    Again {
        /// Whether they are.
        is_equal: bool,
    },
}

impl Part {
    /// Begins the part of a shard, or continues where an earlier attempt was cut off; `None` where it is there. A part
    /// that is damaged is set aside first.
    ///
    /// # Errors
    /// Where there is no such shard, or the run's folder cannot be read or written.
    pub fn begin(
        run: &Path,
        manifest: &RunManifest,
        shards: &ShardPlan,
        shard: usize,
        device: &str,
        host: &str,
    ) -> Result<Option<Self>> {
        let manifest = shards.manifest_of(manifest, shard)?;
        match there(run, &manifest, shards.id(), shard)? {
            There::Whole => return Ok(None),
            There::Damaged => set_aside(run, shard)?,
            There::Nothing => {}
        }
        make_folder(&parts_folder(run))?;
        let maker = Maker {
            plan: shards.id().to_owned(),
            shard,
            device: device.to_owned(),
            host: host.to_owned(),
        };
        let draft = parts_folder(run).join(draft_name(shard, host));
        let plan = || Plan::of(&manifest);
        let earlier: Vec<_> = drafts(run, shard)?
            .into_iter()
            .filter_map(|path| {
                // One that is gone meanwhile, or cannot be read, has nothing to give.
                let lines = Lines::of(&path, &plan()).ok()?;
                let Maker { plan, shard, device, .. } = lines.maker.as_ref()?;
                ((plan, shard, device) == (&maker.plan, &maker.shard, &maker.device))
                    .then_some((path, lines))
            })
            .collect();
        // The file of a process that is gone is taken over as it is: this takes no space. A damaged line would stay in it,
        // and make the part a damaged one.
        let adopted = earlier
            .iter()
            .filter(|(path, lines)| lines.dropped == 0 && is_abandoned(path, host))
            .max_by_key(|(_, lines)| lines.rows.len())
            .filter(|(path, _)| disk::rename(path, &draft).is_ok());
        let mut writer = match adopted {
            Some(_) => JournalWriter::reopen(&draft, plan())?,
            None => JournalWriter::create(&draft, plan(), &maker)?,
        };
        let adopted = adopted.map(|(path, _)| path.clone());
        for (path, lines) in earlier {
            if adopted.as_ref() == Some(&path) {
                continue;
            }
            let is_abandoned = is_abandoned(&path, host);
            let journal = Journal::of(path.clone(), &lines, plan());
            let new = manifest.plan().filter(|key| !writer.journal().contains(key));
            let rows = new.filter_map(|key| journal.row::<Row>(&key).ok().flatten());
            let rows: Vec<Row> = rows.collect();
            if !rows.is_empty() {
                writer.append(&rows)?;
            }
            if is_abandoned {
                // It has nothing more to give; `clean` gets what is left.
                let _ = disk::remove_file(&path);
            }
        }
        Ok(Some(Self { run: run.to_owned(), manifest, maker, draft, writer }))
    }

    /// The manifest of the small run that the shard is.
    pub fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    /// Whether a row is there already.
    pub fn contains(&self, key: &Key) -> bool {
        self.writer.journal().contains(key)
    }

    /// How many rows are there.
    pub fn n_rows(&self) -> usize {
        self.writer.journal().n_rows()
    }

    /// Appends rows, which are on the disk when this returns; rows that are there already stay as they are.
    ///
    /// # Errors
    /// As [`Store::append_all`](crate::Store::append_all).
    pub fn append_all(&mut self, rows: &[Row]) -> Result<()> {
        let journal = self.writer.journal();
        if let Some(row) = rows.iter().find(|row| journal.plan().place_of(&row.record).is_none()) {
            let row = row.record.key().to_string();
            return Err(Error::NotPlanned { folder: self.run.clone(), row });
        }
        let new: Vec<&Row> =
            rows.iter().filter(|row| !journal.contains(&row.record.key())).collect();
        if new.is_empty() { Ok(()) } else { self.writer.append(new) }
    }

    /// Makes the rows a part of the run, which they are for good when this returns. The first process to do so wins.
    ///
    /// # Errors
    /// [`Error::Incomplete`] where rows are missing; where the part cannot be written.
    pub fn commit(self) -> Result<Committed> {
        let Self { run, manifest, maker, draft, writer } = self;
        let (n_rows, planned) = (writer.journal().n_rows(), manifest.n_rows());
        if n_rows < planned {
            return Err(Error::Incomplete { folder: run, missing: planned - n_rows, planned });
        }
        let path = part_path(&run, maker.shard);
        let failed = |source| Error::write(&path, source);
        writer.sync()?;
        let mut committed = link_new(&draft, &path);
        if matches!(committed, Ok(false))
            && there(&run, &manifest, &maker.plan, maker.shard)? == There::Damaged
        {
            set_aside(&run, maker.shard)?;
            committed = link_new(&draft, &path);
        }
        let committed = match committed {
            Ok(true) => Committed::First,
            Ok(false) => Committed::Again { is_equal: is_equal(&draft, &path, &manifest)? },
            Err(error) => return Err(failed(error)),
        };
        // The rows are safe; what is left of the draft is only a second name of theirs.
        let _ = disk::remove_file(&draft);
        sync_folder(&parts_folder(&run)).map_err(failed)?;
        Ok(committed)
    }
}

/// What there is of the part of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    Whole,
    Damaged,
}

/// Looks at the part of a shard. `manifest` is the shard's, `id` that of the plan.
pub(super) fn there(run: &Path, manifest: &RunManifest, id: &str, shard: usize) -> Result<There> {
    let plan = Plan::of(manifest);
    match Lines::of(&part_path(run, shard), &plan) {
        Ok(lines) => {
            let mut expected: Vec<_> = manifest.plan().filter_map(|key| plan.place(&key)).collect();
            expected.sort_unstable();
            Ok(match problem(&lines, id, shard, &expected) {
                None => There::Whole,
                Some(_) => There::Damaged,
            })
        }
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(There::Nothing)
        }
        Err(error) => Err(error),
    }
}

/// Whether two files have the same rows but for the times.
fn is_equal(a: &Path, b: &Path, manifest: &RunManifest) -> Result<bool> {
    let open = |path: &Path| -> Result<Journal> {
        let plan = Plan::of(manifest);
        let lines = Lines::of(path, &plan)?;
        Ok(Journal::of(path.to_owned(), &lines, plan))
    };
    let (a, b) = (open(a)?, open(b)?);
    let timeless = |journal: &Journal, key: &Key| -> Result<Option<String>> {
        let row: Option<Row> = journal.row(key)?;
        Ok(row.map(|mut row| {
            row.record.explain_secs = 0.0;
            // As text, because a map may hold NaN.
            serde_json::to_string(&row).expect("a row is always JSON")
        }))
    };
    for key in manifest.plan() {
        if timeless(&a, &key)? != timeless(&b, &key)? {
            return Ok(false);
        }
    }
    Ok(true)
}

const DRAFT: &str = ".draft";

/// `.000012.host.4711.18c2f0….draft`: nobody else's, not even after the host has started anew.
fn draft_name(shard: usize, host: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let pid = std::process::id();
    format!(".{shard:06}.{}.{pid}.{now:x}{DRAFT}", plain(host))
}

/// The drafts of a shard.
fn drafts(run: &Path, shard: usize) -> Result<Vec<PathBuf>> {
    let (folder, start) = (parts_folder(run), format!(".{shard:06}."));
    let names = names(&folder)?.into_iter();
    let is_draft = |name: &String| name.starts_with(&start) && name.ends_with(DRAFT);
    Ok(names.filter(is_draft).map(|name| folder.join(name)).collect())
}

/// Whether the process that wrote a draft ran on this host and is gone. Of another host nobody can tell.
fn is_abandoned(draft: &Path, host: &str) -> bool {
    let name = draft.file_name().unwrap_or_default().to_string_lossy();
    let mut words = name.split('.').skip(2);
    let (of, pid) = (words.next(), words.next());
    of == Some(&plain(host)) && pid.and_then(is_running) == Some(false)
}

/// Removes all parts and drafts of a run whose tables hold their rows.
pub(crate) fn remove_parts(run: &Path) -> Result<()> {
    let folder = parts_folder(run);
    match disk::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(folder, error)),
        _ => Ok(()),
    }
}

/// Removes damaged parts, why attempts failed, and drafts that are surely abandoned. Returns how many files, and how many
/// drafts are kept.
pub(super) fn clean(run: &Path, host: &str) -> Result<(usize, usize)> {
    let parts = parts_folder(run);
    let drafts = names(&parts)?.into_iter().filter(|name| name.ends_with(DRAFT));
    let (mut useless, kept): (Vec<_>, Vec<_>) =
        drafts.map(|name| parts.join(name)).partition(|draft| is_abandoned(draft, host));
    for name in [DAMAGED, FAILED] {
        let folder = shards_folder(run).join(name);
        useless.extend(names(&folder)?.into_iter().map(|name| folder.join(name)));
    }
    for path in &useless {
        disk::remove_file(path).map_err(|source| Error::write(path, source))?;
    }
    Ok((useless.len(), kept.len()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;
    use crate::{
        Run, Store,
        testing::{manifest, rows},
    };

    const FINISHED: &str = "2026-01-02T04:00:00Z";

    /// A run of three images, cut after each.
    struct Cut {
        folder: tempfile::TempDir,
        shards: ShardPlan,
    }

    impl Cut {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            drop(Store::create_or_continue(folder.path(), manifest()).unwrap());
            let shards = ShardPlan::cut(&manifest(), 1, Path::new("."), |_, _| "main".into());
            let shards = shards.create_or_read(folder.path(), &manifest()).unwrap();
            Self { folder, shards }
        }

        fn begin(&self, shard: usize, host: &str) -> Option<Part> {
            let run = self.folder.path();
            Part::begin(run, &manifest(), &self.shards, shard, "a processor", host).unwrap()
        }

        /// The draft of the first shard with two of its rows, whose process left it.
        fn abandoned_draft(&self) -> PathBuf {
            let mut part = self.begin(0, "n1").unwrap();
            part.append_all(&self.rows(0)[..2]).unwrap();
            drop(part);
            drafts(self.folder.path(), 0).unwrap().remove(0)
        }

        /// Some of a shard's rows.
        fn rows(&self, shard: usize) -> Vec<Row> {
            let own = self.shards.manifest_of(&manifest(), shard).unwrap();
            let is_own = |row: &Row| own.plan().any(|key| key == row.record.key());
            rows(&manifest()).into_iter().filter(is_own).collect()
        }

        fn compute(&self, shard: usize, host: &str) -> Committed {
            let mut part = self.begin(shard, host).unwrap();
            part.append_all(&self.rows(shard)).unwrap();
            part.commit().unwrap()
        }

        fn names(&self, folder: &str) -> Vec<String> {
            names(&shards_folder(self.folder.path()).join(folder)).unwrap()
        }

        fn finish(&self) -> Result<Run> {
            Store::create_or_continue(self.folder.path(), manifest())?.finish(FINISHED)
        }
    }

    /// The tables of a run that was never cut.
    fn whole() -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create_or_continue(folder.path(), manifest()).unwrap();
        store.append_all(&rows(&manifest())).unwrap();
        store.finish(FINISHED).unwrap();
        tables(folder.path())
    }

    fn tables(run: &Path) -> Vec<Vec<u8>> {
        ["records.parquet", "curves.parquet", "maps.parquet", "summary.csv"]
            .map(|name| fs::read(run.join(name)).unwrap())
            .into()
    }

    #[test]
    fn parts_in_any_order_make_the_tables_of_a_run_that_was_never_cut() {
        let cut = Cut::new();
        for shard in [2, 0, 1] {
            assert_eq!(cut.compute(shard, "n1"), Committed::First);
        }
        assert_eq!(cut.names("parts"), ["000000.jsonl", "000001.jsonl", "000002.jsonl"]);
        let run = cut.finish().unwrap();
        assert!(tables(cut.folder.path()) == whole());
        assert_eq!(cut.names("parts"), [""; 0], "the tables hold all of it");
        let made = &run.manifest().made_on[0];
        assert_eq!((made.n_rows, made.shards.as_str()), (9, "0-2"));
        assert_eq!(made.hosts, ["n1"]);
    }

    #[test]
    fn an_unfinished_run_reads_back_with_the_rows_of_its_parts_and_can_be_continued_alone() {
        let cut = Cut::new();
        cut.compute(1, "n1");
        assert_eq!(Run::read(cut.folder.path()).unwrap().records().len(), 3);
        assert!(matches!(cut.finish(), Err(Error::Incomplete { missing: 6, .. })));
        let mut store = Store::create_or_continue(cut.folder.path(), manifest()).unwrap();
        assert!(store.contains(&cut.rows(1)[0].record.key()));
        store.append_all(&rows(&manifest())).unwrap();
        store.finish(FINISHED).unwrap();
        assert!(tables(cut.folder.path()) == whole());
    }

    #[test]
    fn of_two_processes_with_one_shard_the_first_wins_and_the_second_says_whether_it_agrees() {
        let cut = Cut::new();
        let rows = cut.rows(0);
        let [mut a, mut b, mut c] = ["n1", "n2", "n3"].map(|host| cut.begin(0, host).unwrap());
        for part in [&mut a, &mut b] {
            part.append_all(&rows).unwrap();
        }
        let mut others = rows.clone();
        others[0].record.confidence = Some(0.125);
        others[1].record.explain_secs = 77.0;
        c.append_all(&others).unwrap();
        assert_eq!(a.commit().unwrap(), Committed::First);
        assert_eq!(b.commit().unwrap(), Committed::Again { is_equal: true });
        assert_eq!(c.commit().unwrap(), Committed::Again { is_equal: false });
        assert_eq!(cut.names("parts"), ["000000.jsonl"], "no draft is left");
        assert!(cut.begin(0, "n1").is_none(), "there is nothing to do");
        let run = Run::read(cut.folder.path()).unwrap();
        assert_eq!(run.records()[0].confidence, rows[0].record.confidence);
    }

    #[test]
    fn a_part_that_is_not_whole_is_not_committed() {
        let cut = Cut::new();
        let mut part = cut.begin(0, "n1").unwrap();
        part.append_all(&cut.rows(0)[..2]).unwrap();
        assert!(matches!(part.commit(), Err(Error::Incomplete { missing: 1, planned: 3, .. })));
        let mut part = cut.begin(0, "n1").unwrap();
        assert!(matches!(part.append_all(&cut.rows(1)), Err(Error::NotPlanned { .. })));
    }

    #[test]
    fn what_a_killed_process_made_is_taken_over_on_the_same_kind_of_device_alone() {
        let cut = Cut::new();
        let draft = cut.abandoned_draft();
        // Torn in the middle of a line, as by a power cut.
        let mut file = OpenOptions::new().append(true).open(&draft).unwrap();
        file.write_all(br#"{"crc32":"0123"#).unwrap();
        let elsewhere = cut.begin(0, "n2").unwrap();
        assert_eq!(elsewhere.n_rows(), 2);
        let run = cut.folder.path();
        let other = Part::begin(run, &manifest(), &cut.shards, 0, "a card", "n1").unwrap();
        assert_eq!(other.unwrap().n_rows(), 0, "another device rounds otherwise");
    }

    #[test]
    fn the_draft_of_a_process_that_is_gone_is_taken_over_without_a_copy() {
        let cut = Cut::new();
        let draft = cut.abandoned_draft();
        // No process has so large a number.
        fs::rename(&draft, draft.with_file_name(".000000.n1.99999999.0.draft")).unwrap();
        let part = cut.begin(0, "n1").unwrap();
        assert_eq!((part.n_rows(), cut.names("parts").len()), (2, 1));
    }

    #[test]
    fn a_damaged_line_in_the_draft_of_a_process_that_is_gone_stays_out_of_the_part() {
        let cut = Cut::new();
        let draft = cut.abandoned_draft();
        let mut bytes = fs::read(&draft).unwrap();
        // The first row, as a page that a power cut has lost.
        let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        bytes[start..start + 100].fill(0);
        fs::remove_file(&draft).unwrap();
        fs::write(draft.with_file_name(".000000.n1.99999999.0.draft"), bytes).unwrap();
        let part = cut.begin(0, "n1").unwrap();
        assert_eq!(part.n_rows(), 1);
        drop(part);
        cut.compute(0, "n1");
        assert!(cut.begin(0, "n1").is_none(), "the part is whole");
        assert_eq!(cut.names("damaged"), [""; 0]);
    }

    #[test]
    fn cleaning_keeps_the_drafts_of_processes_that_may_be_there() {
        let cut = Cut::new();
        let mut part = cut.begin(0, "n1").unwrap();
        let parts = parts_folder(cut.folder.path());
        for gone in [".000001.n1.99999999.0.draft", ".000001.n2.99999999.0.draft"] {
            fs::write(parts.join(gone), "").unwrap();
        }
        fs::create_dir_all(shards_folder(cut.folder.path()).join(DAMAGED)).unwrap();
        fs::write(shards_folder(cut.folder.path()).join(DAMAGED).join("a"), "").unwrap();
        assert_eq!(clean(cut.folder.path(), "n1").unwrap(), (2, 2));
        part.append_all(&cut.rows(0)).unwrap();
        assert_eq!(part.commit().unwrap(), Committed::First);
        assert_eq!(cut.names("parts"), [".000001.n2.99999999.0.draft", "000000.jsonl"]);
    }

    /// The files after every step of a commit (rows, sync, link, unlink), as a power cut would leave them.
    #[test]
    fn a_commit_that_was_cut_off_after_any_step_is_completed() {
        let cut = Cut::new();
        for shard in 1..3 {
            cut.compute(shard, "n1");
        }
        // All rows, and no link.
        let mut part = cut.begin(0, "n1").unwrap();
        part.append_all(&cut.rows(0)).unwrap();
        let draft = part.draft.clone();
        drop(part);
        let part = cut.begin(0, "n2").unwrap();
        assert_eq!(part.n_rows(), 3, "there is nothing left to compute");
        assert_eq!(part.commit().unwrap(), Committed::First);
        // The link, and the draft under its own name beside it.
        assert!(draft.exists());
        assert!(cut.begin(0, "n1").is_none());
        let run = cut.finish().unwrap();
        assert_eq!(run.records().len(), 9);
        assert!(tables(cut.folder.path()) == whole());
        // The tables, and the parts not removed yet.
        fs::create_dir_all(parts_folder(cut.folder.path())).unwrap();
        fs::write(part_path(cut.folder.path(), 0), "whatever").unwrap();
        assert_eq!(Run::read(cut.folder.path()).unwrap().records().len(), 9);
    }

    #[test]
    fn a_report_says_where_devices_of_several_kinds_made_a_run() {
        let cut = Cut::new();
        for (shard, device) in [(0, "a card"), (1, "a processor"), (2, "a card")] {
            let run = cut.folder.path();
            let part = Part::begin(run, &manifest(), &cut.shards, shard, device, "n1").unwrap();
            let mut part = part.unwrap();
            part.append_all(&cut.rows(shard)).unwrap();
            part.commit().unwrap();
        }
        let run = cut.finish().unwrap();
        let made: Vec<_> =
            run.manifest().made_on.iter().map(|on| (&*on.device, &*on.shards)).collect();
        assert_eq!(made, [("a card", "0,2"), ("a processor", "1")]);
        let report = crate::report_md(&run, &run.summarize(), &[]);
        let sentence = "devices of 2 kinds made this run: 6 rows by a card, 3 rows by a processor";
        assert!(report.contains(sentence), "{report}");
    }

    /// Cut off after any byte, or with any byte changed, a part is noticed; never is a row of it believed that was not
    /// written so.
    #[test]
    fn a_part_that_is_damaged_anywhere_is_set_aside_and_made_again() {
        let cut = Cut::new();
        cut.compute(0, "n1");
        let path = part_path(cut.folder.path(), 0);
        let good = fs::read(&path).unwrap();
        let whole: Vec<_> = cut.rows(0).into_iter().map(|row| row.record).collect();
        for at in (0..good.len()).step_by(97) {
            for cut_off in [true, false] {
                let mut bad = good[..if cut_off { at } else { good.len() }].to_vec();
                if !cut_off {
                    bad[at] ^= 4;
                }
                fs::write(&path, bad).unwrap();
                let run = Run::read(cut.folder.path()).unwrap();
                assert!(run.records().iter().all(|record| whole.contains(record)), "{at}");
                let n_damaged = cut.names("damaged").len();
                assert!(cut.begin(0, "n1").is_some(), "{at} {cut_off}");
                assert_eq!(cut.names("damaged").len(), n_damaged + 1);
            }
        }
        // Merging notices as well.
        for shard in 0..3 {
            let _ = cut.begin(shard, "n1").map(|_| cut.compute(shard, "n1"));
        }
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(matches!(cut.finish(), Err(Error::Incomplete { .. })));
        assert!(!path.exists());
        cut.compute(0, "n1");
        cut.finish().unwrap();
        assert!(tables(cut.folder.path()) == self::whole());
    }
}
