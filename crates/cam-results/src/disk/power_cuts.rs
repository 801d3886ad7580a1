//! A power cut after every step that a run takes on the disk.
//!
//! A disk may keep whatever it likes of what was not synced. So each prefix of the traced steps is replayed into the four
//! extremes: all of it was kept, as when only the process is killed; only what was synced; all names and of the contents
//! what was synced and half of the rest; all contents and only the names that were synced. Whatever the disk kept, the
//! folder must be readable, hold every row that was promised to be safe, and be completed to the tables of a run that was
//! never interrupted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::trace::{self, Step};
use crate::{
    Committed, Part, Record, Row, Run, ShardPlan, Store,
    shards::is_committed,
    testing::{manifest, rows},
};

const FINISHED: &str = "2026-01-02T04:00:00Z";

/// A disk as a process sees it, and what of it would survive.
#[derive(Default)]
struct Disk {
    files: Vec<Content>,
    /// The place in `files` of what the system knows by a number.
    numbers: HashMap<u64, usize>,
    names: BTreeMap<PathBuf, Entry>,
    safe_names: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    safe: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Entry {
    File(usize),
    Folder,
}

/// What a folder holds: of a folder in it nothing but its name.
type Held = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Disk {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Open(file, path) => {
                let id = if let Some(Entry::File(id)) = self.names.get(path) {
                    *id
                } else {
                    self.files.push(Content::default());
                    self.files.len() - 1
                };
                self.names.insert(path.clone(), Entry::File(id));
                self.numbers.insert(*file, id);
            }
            Step::Write(file, bytes) => self.content(*file).now.extend(bytes),
            Step::Cut(file, len) => self.content(*file).now.truncate(*len as usize),
            Step::Sync(file) => {
                let content = self.content(*file);
                content.safe = content.now.clone();
            }
            Step::Rename(from, to) => {
                let entry = self.names.remove(from).expect("a name that there is");
                self.names.insert(to.clone(), entry);
            }
            Step::Link(from, to) => {
                let entry = self.names[from];
                self.names.insert(to.clone(), entry);
            }
            Step::Remove(path) => drop(self.names.remove(path)),
            Step::MakeFolder(path) => drop(self.names.insert(path.clone(), Entry::Folder)),
            Step::SyncFolder(path) => {
                let is_in = |name: &PathBuf| name.parent() == Some(path);
                self.safe_names.retain(|name, _| !is_in(name));
                let names = self.names.iter().filter(|(name, _)| is_in(name));
                self.safe_names.extend(names.map(|(name, entry)| (name.clone(), *entry)));
            }
            Step::Promise(_) => {}
        }
    }

    fn content(&mut self, number: u64) -> &mut Content {
        &mut self.files[self.numbers[&number]]
    }

    fn held(&self, names: &BTreeMap<PathBuf, Entry>, of: fn(&Content) -> Vec<u8>) -> Held {
        let content = |entry: &Entry| match entry {
            Entry::File(id) => Some(of(&self.files[*id])),
            Entry::Folder => None,
        };
        names.iter().map(|(name, entry)| (name.clone(), content(entry))).collect()
    }

    /// What there may be after a power cut.
    fn extremes(&self) -> [(&'static str, Held); 4] {
        let torn = |content: &Content| match content.now.strip_prefix(&*content.safe) {
            Some(rest) => [&*content.safe, &rest[..rest.len() / 2]].concat(),
            None => content.safe.clone(),
        };
        let now = |content: &Content| content.now.clone();
        [
            ("all was kept", self.held(&self.names, now)),
            ("only what was synced", self.held(&self.safe_names, |content| content.safe.clone())),
            ("names and torn contents", self.held(&self.names, torn)),
            ("contents and old names", self.held(&self.safe_names, now)),
        ]
    }
}

/// A folder where syncs cost nothing, if there is one.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What a folder holds.
fn read(root: &Path) -> Held {
    let mut held = Held::new();
    for path in trace::within(root) {
        if path.is_dir() {
            held.extend(read(&path));
            held.insert(path, None);
        } else {
            held.insert(path.clone(), Some(fs::read(path).unwrap()));
        }
    }
    held
}

/// Takes a run through, and a power cut after each of its steps. `work` begins a run in a folder, or continues it, and
/// says how many rows are promised each time that it is more.
fn survives(work: impl Fn(&Path, &mut dyn FnMut(usize))) {
    let (made, whole) = (folder(), rows(&manifest()));
    let root = made.path().join("runs");
    trace::start(made.path());
    super::create_dir_all(&root).unwrap();
    super::sync_folder(made.path()).unwrap();
    let run = root.join("run");
    work(&run, &mut |n_rows| trace::note(made.path(), || Step::Promise(n_rows)));
    let steps = trace::take(made.path());
    let tables = |run: &Path| {
        ["records.parquet", "curves.parquet", "maps.parquet", "summary.csv"]
            .map(|name| fs::read(run.join(name)).unwrap())
    };
    let expected = tables(&run);

    let mut disk = Disk::default();
    let (mut promised, mut seen) = (0, BTreeSet::new());
    for (n, step) in steps.iter().enumerate() {
        disk.take(step);
        if let Step::Promise(n_rows) = step {
            promised = *n_rows;
        }
        for (kept, held) in disk.extremes() {
            if !seen.insert((promised, held.clone())) {
                continue;
            }
            let left = folder();
            for (path, content) in held {
                let path = left.path().join(path.strip_prefix(made.path()).unwrap());
                // What lies in a folder that is lost is lost.
                match content {
                    Some(content) => drop(fs::write(path, content)),
                    None => drop(fs::create_dir(path)),
                }
            }
            let at = format!("after {n} of {} steps ({step:?}), {kept}", steps.len());
            let run = left.path().join("runs/run");
            if run.join("manifest.json").exists() {
                let read = Run::read(&run).unwrap_or_else(|error| panic!("{at}: {error}"));
                let is_whole = |record: &Record| whole.iter().any(|row| row.record == *record);
                assert!(read.records().iter().all(is_whole), "{at}");
                let n_there = read.records().len();
                assert!(n_there >= promised, "{at}: {n_there} rows of {promised} are there");
            } else {
                assert_eq!(promised, 0, "{at}: the manifest is lost");
            }
            work(&run, &mut |_| {});
            assert!(tables(&run) == expected, "{at}: other tables");
        }
    }
    assert!(steps.len() > 50 && seen.len() > 40, "{} steps, {} states", steps.len(), seen.len());
    // Nothing was done to the disk that the trace does not know.
    let names = |held: Held| held.into_iter().filter(|(_, content)| content.is_some());
    let known: Held = names(disk.extremes()[0].1.clone()).collect();
    assert!(names(read(made.path())).collect::<Held>() == known, "something went another way");
}

#[test]
fn a_run_survives_a_power_cut_after_every_step() {
    survives(|run, promise| {
        let mut store = Store::create_or_continue(run, manifest()).unwrap();
        if store.is_finished() {
            return;
        }
        for rows in rows(&manifest()).chunks(2) {
            store.append_all(rows).unwrap();
            promise(store.n_rows());
        }
        store.close(FINISHED).unwrap();
    });
}

#[test]
fn a_run_of_shards_survives_a_power_cut_after_every_step() {
    survives(|run, promise| {
        let store = Store::create_or_continue(run, manifest()).unwrap();
        if store.is_finished() {
            return;
        }
        drop(store);
        let shards = ShardPlan::cut(&manifest(), 1, Path::new("."), |_, _| "main".into());
        let shards = shards.create_or_read(run, &manifest()).unwrap();
        for shard in 0..shards.shards.len() {
            let part = Part::begin(run, &manifest(), &shards, shard, "a processor", "n1").unwrap();
            let Some(mut part) = part else { continue };
            let own = part.manifest().clone();
            let is_own = |row: &Row| own.plan().any(|key| key == row.record.key());
            let rows: Vec<Row> = rows(&manifest()).into_iter().filter(is_own).collect();
            for rows in rows.chunks(2) {
                part.append_all(rows).unwrap();
            }
            assert_eq!(part.commit().unwrap(), Committed::First);
            assert!(is_committed(run, &manifest(), &shards, shard).unwrap());
            promise(3 * (shard + 1));
        }
        Store::create_or_continue(run, manifest()).unwrap().close(FINISHED).unwrap();
    });
}
