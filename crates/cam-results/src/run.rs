//! A run's folder, read back.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use crate::{
    Curve, Error, Key, RawMap, Record, Result, RunManifest, RunStatus, Summary,
    join::{Joined, Part, join},
    journal::{CurvesOnly, Journal, MapOnly, RecordOnly},
    manifest::Plan,
    store::{CURVES, MAPS, RECORDS},
    summary::summarize,
    tables::{CurveReader, GROUP, SHORT_ROWS, read_maps, read_parquet, read_records},
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
        if manifest.status == RunStatus::Running {
            match Journal::open(folder, Plan::of(&manifest)) {
                Ok(found) => journal = Some(found),
                // Either nothing was appended yet, or the run was finished just now.
                Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    manifest = RunManifest::read(folder)?;
                }
                Err(error) => return Err(error),
            }
        }
        let mut records = vec![];
        match &journal {
            Some(journal) => {
                for key in manifest.plan() {
                    records.extend(journal.row(&key)?.map(|RecordOnly { record }| record));
                }
            }
            None if manifest.status == RunStatus::Running => {}
            None => read_parquet(&folder.join(RECORDS), SHORT_ROWS, |frame| {
                read_records(frame, &manifest.metrics, &mut records)
            })?,
        }
        Ok(Self { folder: folder.to_owned(), manifest, records, journal, parts: vec![], cautions: vec![] })
    }

    /// Several runs as one, for reports: rows stand in one table where they are comparable, and apart where they are not.
    /// One run alone stays as it is.
    ///
    /// # Panics
    /// Without a run.
    pub fn join(mut runs: Vec<Self>) -> Self {
        if runs.len() == 1 {
            return runs.swap_remove(0);
        }
        let Joined { manifest, records, parts, cautions } = join(runs);
        let folder = parts[0].run.folder.clone();
        Self { folder, manifest, records, journal: None, parts, cautions }
    }

    /// What a reader of joined runs must know, a sentence each.
    pub fn cautions(&self) -> &[String] {
        &self.cautions
    }

    /// The runs that this one was joined from, or itself.
    pub fn parts(&self) -> Vec<&Self> {
        if self.parts.is_empty() { vec![self] } else { self.parts.iter().map(|part| &part.run).collect() }
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

    /// What the records say; of joined runs without the cells that none of them has.
    pub fn summarize(&self) -> Summary {
        let mut summary = summarize(&self.manifest, &self.records);
        if !self.parts.is_empty() {
            let there: HashSet<(&str, &str)> =
                self.records.iter().map(|record| (&*record.model, &*record.method)).collect();
            summary.cells.retain(|cell| there.contains(&(&*cell.model, &*cell.method)));
        }
        summary
    }

    /// How many rows of the plan are missing; 0 in a finished run.
    pub fn n_missing(&self) -> usize {
        if self.parts.is_empty() {
            self.manifest.n_rows() - self.records.len()
        } else {
            self.parts.iter().map(|part| part.run.n_missing()).sum()
        }
    }

    /// Visits every curve in the order of the plan.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn visit_curves(&self, mut visit: impl FnMut(&Key, &Curve)) -> Result<()> {
        self.visit_own_curves(&mut visit)?;
        self.parts.iter().try_for_each(|part| {
            part.run.visit_own_curves(&mut |key, curve| {
                let curve = Curve { metric: part.metric(&curve.metric), ..curve.clone() };
                visit(&part.key(key), &curve);
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
            None if self.records.is_empty() => Ok(()),
            None => {
                let mut reader = CurveReader::default();
                read_parquet(&self.folder.join(CURVES), SHORT_ROWS, |frame| {
                    reader.read(frame, &mut visit)
                })
            }
        }
    }

    /// Visits every map in the order of the plan.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn visit_maps(&self, mut visit: impl FnMut(&Key, &RawMap)) -> Result<()> {
        self.visit_own_maps(&mut visit)?;
        self.parts.iter().try_for_each(|part| {
            part.run.visit_own_maps(&mut |key, map| visit(&part.key(key), map))
        })
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
            None if self.records.is_empty() => Ok(()),
            None => {
                read_parquet(&self.folder.join(MAPS), GROUP, |frame| read_maps(frame, &mut visit))
            }
        }
    }
}
