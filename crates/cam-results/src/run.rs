//! A run's folder, read back.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
};

use crate::{
    Curve, Error, Key, MadeOn, OverSeeds, RawMap, Record, Result, RunManifest, RunStatus, Summary,
    files::digest,
    join::{Cell, Joined, Part, join},
    journal::{CurvesOnly, Journal, MapOnly, RecordOnly},
    manifest::Plan,
    record::Names,
    seeds::differ_by_seed,
    shards,
    store::{CURVES, MAPS, RECORDS},
    summary::summarize,
    tables::{self, CurveReader, SHORT_ROWS, read_maps, read_parquet, read_records},
};

/// A run's folder, read back: the manifest and the records; curves and maps are visited on demand.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    manifest: RunManifest,
    records: Vec<Record>,
    /// Where the rows of an unfinished run are.
    journal: Option<Journal>,
    /// The runs that this one was joined from.
    parts: Vec<Part>,
    /// Of which several of those have rows, the same ones.
    shared: HashSet<Cell>,
    /// The same sweep with other seeds.
    repeats: Vec<Run>,
    cautions: Vec<String>,
}

impl Run {
    /// Reads a finished run from its tables, or as much as there is of an unfinished one from its journal.
    ///
    /// # Errors
    /// Where a file cannot be read, is damaged, or was written by a newer cambench.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut manifest = RunManifest::read(folder)?;
        let mut journal = None;
        let mut records = vec![];
        if manifest.status == RunStatus::Running {
            let found = unfinished(folder, &manifest, &mut records);
            // Whoever finishes the run removes the journal under our hands, when all else is there.
            let now = RunManifest::read(folder)?;
            if now.status == RunStatus::Running {
                let (found, made_on) = found?;
                journal = Some(found);
                manifest.made_on = made_on;
            } else {
                records.clear();
                manifest = now;
            }
        }
        if journal.is_none() {
            let mut names = Names::default();
            read_parquet(&table(folder, &manifest, RECORDS)?, SHORT_ROWS, |frame| {
                read_records(frame, &manifest.metrics, &mut names, &mut records)
            })?;
            check(&manifest, &records)
                .map_err(|message| Error::Damaged { path: folder.join(RECORDS), message })?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            records,
            journal,
            parts: vec![],
            shared: HashSet::new(),
            repeats: vec![],
            cautions: vec![],
        })
    }

    /// Several runs as one, for reports: rows stand in one table where they are comparable, and apart where they are not.
    /// One run alone stays as it is. Runs of one sweep that differ in their seed alone are the first of them, and the others
    /// say how its means move with the seed ([`Summary::over_seeds`]).
    ///
    /// # Panics
    /// Without a run.
    pub fn join(mut runs: Vec<Self>) -> Self {
        if runs.len() == 1 {
            return runs.swap_remove(0);
        }
        let first = runs.remove(0);
        let seeds = || runs.iter().map(|run| run.manifest.seed).chain([first.manifest.seed]);
        let are_repeats = runs.iter().all(|run| differ_by_seed(&first.manifest, &run.manifest));
        if are_repeats && seeds().collect::<BTreeSet<_>>().len() == runs.len() + 1 {
            let caution = format!(
                "{} runs differ in their seed alone; tables and plots are of seed {}, and \"Variation over seeds\" says how \
                 far the others are from it.",
                runs.len() + 1,
                first.manifest.seed
            );
            return Self { repeats: runs, cautions: vec![caution], ..first };
        }
        runs.insert(0, first);
        let Joined { manifest, records, parts, shared, cautions } = join(runs);
        let folder = parts[0].run.folder.clone();
        Self { folder, manifest, records, journal: None, parts, shared, repeats: vec![], cautions }
    }

    /// What a reader of joined runs must know, a sentence each.
    pub fn cautions(&self) -> &[String] {
        &self.cautions
    }

    /// The runs that this one was joined from, or itself.
    pub fn parts(&self) -> Vec<&Self> {
        if self.parts.is_empty() {
            vec![self]
        } else {
            self.parts.iter().map(|part| &part.run).collect()
        }
    }

    /// The run that an image of a model is of, among those that this one was joined from, and what the image is called
    /// there; `None` if no run has it.
    pub fn source<'a>(&'a self, model: &str, image: &'a str) -> Option<(&'a Self, &'a str)> {
        if self.parts.is_empty() {
            return Some((self, image));
        }
        self.parts.iter().find_map(|part| Some((&part.run, part.image_of(model, image)?)))
    }

    /// The folder; of joined runs the first one's.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was run.
    pub fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    /// The records in the order of the plan.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What the records say.
    pub fn summarize(&self) -> Summary {
        let mut summary = summarize(&self.manifest, &self.records);
        if !self.repeats.is_empty() {
            let all = || [self].into_iter().chain(&self.repeats);
            let records: Vec<&[Record]> = all().map(|run| &*run.records).collect();
            let seeds = all().map(|run| run.manifest.seed).collect();
            summary.over_seeds = Some(OverSeeds::of(&self.manifest, seeds, &records));
        }
        summary
    }

    /// How many rows of the plan are missing; 0 in a finished run.
    pub fn n_missing(&self) -> usize {
        let own = if self.parts.is_empty() {
            self.manifest.n_rows() - self.records.len()
        } else {
            self.n_missing_of_parts()
        };
        own + self.repeats.iter().map(Self::n_missing).sum::<usize>()
    }

    /// How many rows some of the joined runs plan, and none has.
    fn n_missing_of_parts(&self) -> usize {
        if self.parts.iter().all(|part| part.run.n_missing() == 0) {
            return 0;
        }
        let there: HashSet<Key> = self.records.iter().map(Record::key).collect();
        let planned =
            self.parts.iter().flat_map(|part| part.run.manifest.plan().map(|key| part.key(&key)));
        planned.filter(|key| !there.contains(key)).collect::<HashSet<Key>>().len()
    }

    /// Whether it is a [baseline](crate::gate::Baselines), which keeps neither curves nor maps, or was joined from some.
    pub fn is_baseline(&self) -> bool {
        let is_there = |name: &str| self.folder.join(name).exists();
        let is_own = self.journal.is_none() && !is_there(CURVES) && !is_there(MAPS);
        if self.parts.is_empty() {
            is_own
        } else {
            self.parts.iter().any(|part| part.run.is_baseline())
        }
    }

    /// Visits every curve in the order of the plan; none of a baseline.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn visit_curves(&self, mut visit: impl FnMut(&Key, &Curve)) -> Result<()> {
        self.visit_own_curves(&mut visit)?;
        let mut seen = HashSet::new();
        self.parts.iter().try_for_each(|part| {
            part.run.visit_own_curves(&mut |key, curve| {
                let curve = Curve { metric: part.metric(&curve.metric), ..curve.clone() };
                let key = part.key(key);
                if !self.is_shared(&key) || seen.insert((key.clone(), curve.metric.clone())) {
                    visit(&key, &curve);
                }
            })
        })
    }

    fn visit_own_curves(&self, mut visit: &mut dyn FnMut(&Key, &Curve)) -> Result<()> {
        if !self.parts.is_empty() {
            return Ok(());
        }
        match &self.journal {
            Some(journal) => {
                for key in self.records.iter().map(Record::key) {
                    let row: Option<CurvesOnly> = journal.row(&key)?;
                    row.iter().flat_map(|row| &row.curves).for_each(|curve| visit(&key, curve));
                }
                Ok(())
            }
            None if self.records.is_empty() || self.is_baseline() => Ok(()),
            None => {
                let mut reader = CurveReader::default();
                let path = table(&self.folder, &self.manifest, CURVES)?;
                read_parquet(&path, SHORT_ROWS, |frame| reader.read(frame, &mut visit))
            }
        }
    }

    /// Visits every map in the order of the plan; none of a baseline.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn visit_maps(&self, mut visit: impl FnMut(&Key, &RawMap)) -> Result<()> {
        self.visit_own_maps(&mut visit)?;
        let mut seen = HashSet::new();
        self.parts.iter().try_for_each(|part| {
            part.run.visit_own_maps(&mut |key, map| {
                let key = part.key(key);
                if !self.is_shared(&key) || seen.insert(key.clone()) {
                    visit(&key, map);
                }
            })
        })
    }

    /// Whether several of the joined runs may have this row.
    fn is_shared(&self, key: &Key) -> bool {
        self.shared.contains(&(key.model.clone(), key.method.clone()))
    }

    fn visit_own_maps(&self, mut visit: &mut dyn FnMut(&Key, &RawMap)) -> Result<()> {
        if !self.parts.is_empty() {
            return Ok(());
        }
        match &self.journal {
            Some(journal) => {
                for key in self.records.iter().map(Record::key) {
                    if let Some(MapOnly { map: Some(map) }) = journal.row(&key)? {
                        visit(&key, &map);
                    }
                }
                Ok(())
            }
            None if self.records.is_empty() || self.is_baseline() => Ok(()),
            None => {
                let path = table(&self.folder, &self.manifest, MAPS)?;
                read_parquet(&path, tables::MAPS, |frame| read_maps(frame, &mut visit))
            }
        }
    }
}

/// The journal of an unfinished run and which devices made what is there; its records, in the order of the plan.
fn unfinished(
    folder: &Path,
    manifest: &RunManifest,
    records: &mut Vec<Record>,
) -> Result<(Journal, Vec<MadeOn>)> {
    let plan = Plan::of(manifest);
    let parts = shards::read_parts(folder, manifest, &plan)?;
    let made_on = shards::made_on(&parts);
    let journal = Journal::open(folder, plan, parts)?;
    let mut names = Names::default();
    for group in journal.groups() {
        for RecordOnly { mut record } in journal.rows(&group)? {
            names.share(&mut record);
            records.push(record);
        }
    }
    Ok((journal, made_on))
}

/// A table of a finished run, after a look at whether it is the one that was written.
fn table(folder: &Path, manifest: &RunManifest, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    // Runs from before there were hashes have none.
    if let Some(written) = manifest.tables.get(name) {
        let found = digest(&path)?;
        if found != *written {
            let message = format!(
                "its SHA-256 is {found}, and manifest.json says {written}; copy the run again"
            );
            return Err(Error::Damaged { path, message });
        }
    }
    Ok(path)
}

/// Whether a finished run's table has every row of the plan once, and numbers that are numbers.
fn check(manifest: &RunManifest, records: &[Record]) -> std::result::Result<(), String> {
    let plan = Plan::of(manifest);
    let mut seen = vec![false; plan.n_places()];
    for record in records {
        let Record { model, layer, method, protocol, image, .. } = record;
        let place = plan.place_named([model, layer, method, protocol, image]);
        let seen = place.and_then(|place| seen.get_mut(place)).ok_or_else(|| {
            format!("it has a row for {}, which manifest.json does not plan", record.key())
        })?;
        if std::mem::replace(seen, true) {
            return Err(format!("it has the row for {} twice", record.key()));
        }
        let numbers = record.metrics.iter().chain([&record.confidence, &record.adcc_per_image]);
        if numbers.flatten().any(|number| !number.is_finite()) {
            return Err(format!("a number is not finite in the row for {}", record.key()));
        }
    }
    // None is there twice, so their number tells whether all are there.
    match manifest.n_rows() - records.len() {
        0 => Ok(()),
        missing => Err(format!("it lacks {missing} of {} rows", manifest.n_rows())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use polars::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::{
        MetricEntry, RunManifest, Store, report_md, summarize,
        tables::{records_frame, write_parquet},
        testing::{manifest, rows},
    };

    /// A finished run.
    fn finished(manifest: &RunManifest) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut store =
            Store::create_or_continue(&folder.path().join("run"), manifest.clone()).unwrap();
        for row in rows(manifest) {
            store.append(&row).unwrap();
        }
        store.finish("2026-01-02T04:00:00Z").unwrap();
        folder
    }

    /// What reading says of a run whose records were tampered with; the other files are as they were.
    fn read_with(tamper: impl Fn(&[MetricEntry], Vec<Record>) -> DataFrame) -> String {
        let manifest = manifest();
        let folder = finished(&manifest);
        let path = folder.path().join("run");
        let records = Run::read(&path).unwrap().records().to_vec();
        let mut manifest = RunManifest::read(&path).unwrap();
        manifest.tables.clear();
        manifest.write(&path).unwrap();
        let frame = tamper(&manifest.metrics, records);
        write_parquet(&path.join(RECORDS), &frame).unwrap();
        let before = fs::read(path.join(MAPS)).unwrap();
        let error = Run::read(&path).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(fs::read(path.join(MAPS)).unwrap(), before, "nothing is lost");
        error.to_string()
    }

    #[test]
    fn records_that_are_not_those_of_the_plan_are_named() {
        let twice = read_with(|metrics, mut records| {
            records[3] = records[2].clone();
            records_frame(metrics, &records)
        });
        assert!(twice.contains("it has the row for recipro_cam of resnet18"), "{twice}");
        assert!(twice.contains("twice"), "{twice}");
        let foreign = read_with(|metrics, mut records| {
            records[3].image = "elsewhere.jpg".into();
            records_frame(metrics, &records)
        });
        assert!(
            foreign.contains("on elsewhere.jpg, which manifest.json does not plan"),
            "{foreign}"
        );
        let few = read_with(|metrics, records| records_frame(metrics, &records[..7]));
        assert!(few.contains("lacks 2 of 9 rows"), "{few}");
        let none = read_with(|metrics, _| records_frame(metrics, &[]));
        assert!(none.contains("lacks 9 of 9 rows"), "{none}");
    }

    #[test]
    fn a_missing_column_and_numbers_that_are_none_are_named() {
        let without = read_with(|metrics, records| {
            records_frame(metrics, &records).drop("coherency").unwrap()
        });
        assert!(without.contains("coherency"), "{without}");
        let nan = read_with(|metrics, mut records| {
            for record in &mut records {
                record.metrics.fill(Some(f64::NAN));
            }
            records_frame(metrics, &records)
        });
        assert!(nan.contains("a number is not finite in the row for cam of resnet18"), "{nan}");
        let other_type = read_with(|metrics, records| {
            let mut frame = records_frame(metrics, &records);
            let texts = Column::new("drop".into(), vec!["a"; records.len()]);
            frame.with_column(texts).unwrap();
            frame
        });
        assert!(other_type.contains("damaged"), "{other_type}");
    }

    #[test]
    fn a_table_cut_off_anywhere_is_damaged() {
        let folder = finished(&manifest());
        let path = folder.path().join("run");
        let whole = fs::read(path.join(RECORDS)).unwrap();
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            fs::write(path.join(RECORDS), &whole[..length]).unwrap();
            let error = Run::read(&path).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{length}: {error}");
        }
        fs::write(path.join(RECORDS), &whole).unwrap();
        assert_eq!(Run::read(&path).unwrap().records().len(), 9);
    }

    #[test]
    fn one_image_of_one_class_has_a_report_that_claims_nothing() {
        let mut manifest = manifest();
        manifest.images.truncate(1);
        let folder = finished(&manifest);
        let run = Run::read(&folder.path().join("run")).unwrap();
        let summary = summarize(run.manifest(), run.records());
        assert!(summary.methods.iter().all(|contrast| contrast.first().is_none()));
        let mut pairs = summary.methods.iter().flat_map(|contrast| &contrast.pairs);
        assert!(pairs.all(|pair| !pair.difference.is_significant()));
        let md = report_md(&run, &summary, &[]);
        assert!(md.contains("Nothing: no mean is over more than 1 image,"), "{md}");
    }
}
