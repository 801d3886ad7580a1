//! A small sweep on disk: photographs made by a formula, a network with random weights.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use cam_results::{Picture, Record, Run};
use cam_runner::{Event, Outcome, Overrides, Plan, PlanError, Provenance, Sweep, run};
use tempfile::TempDir;

/// All metrics, with few steps.
pub(crate) const METRICS: &str = "[drop, increase, { name: deletion, steps: 7 }, { name: insertion, steps: 7 }, coherency, complexity]";

/// A folder with photographs, their manifest and room for sweeps and runs.
pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    /// With `n` photographs, `0.png` and so on.
    pub(crate) fn with_photographs(n: usize) -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(workshop.path("photos")).unwrap();
        for i in 0..n {
            fs::write(workshop.photo(i), photograph(i).png()).unwrap();
        }
        let manifest = "name: made\nroot: photos\nlayout: files\n";
        fs::write(workshop.path("made.yaml"), manifest).unwrap();
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn photo(&self, i: usize) -> PathBuf {
        self.path("photos").join(format!("{i}.png"))
    }

    /// The plan of a sweep of these methods on EfficientNet-Lite0 with random weights.
    pub(crate) fn plan(&self, methods: &str) -> Plan {
        self.try_plan(&Self::sweep(methods), &Overrides::default()).unwrap()
    }

    /// The text of a sweep of these methods.
    pub(crate) fn sweep(methods: &str) -> String {
        format!(
            "name: small\ndataset: {{ manifest: made.yaml }}\nmodels:\n  \
             - {{ name: tf_efficientnet_lite0, weights: seeded }}\nmethods: {methods}\nmetrics: {METRICS}\n"
        )
    }

    pub(crate) fn try_plan(&self, sweep: &str, overrides: &Overrides) -> Result<Plan, PlanError> {
        let path = self.path("small.yaml");
        fs::write(&path, sweep).unwrap();
        // Tests run side by side, one thread each.
        let overrides = &Overrides { threads: Some(1), ..overrides.clone() };
        let (sweep, text) = Sweep::read(&path)?;
        Plan::new(sweep, &text, &path, overrides, &Provenance::default(), &mut |_| {})
    }

    /// Runs a plan to its end in a folder called `name`.
    pub(crate) fn run(&self, plan: &Plan, name: &str) -> Run {
        let outcome = self.run_until(plan, name, usize::MAX);
        assert!(outcome.is_finished);
        Run::read(&self.path(name)).unwrap()
    }

    /// Runs a plan and asks it to stop while so many rows are begun, as Ctrl-C does.
    pub(crate) fn run_until(&self, plan: &Plan, name: &str, n_rows: usize) -> Outcome {
        let stop = AtomicBool::new(false);
        let mut begun = 0;
        let mut on_event = |event: Event<'_>| {
            if let Event::RowStarted { .. } = event {
                begun += 1;
                stop.store(begun >= n_rows, Ordering::Relaxed);
            }
        };
        run(plan, &self.path(name), &stop, &mut on_event).unwrap()
    }
}

/// Smooth colors with one bright blob, another one for every number.
pub(crate) fn photograph(number: usize) -> Picture {
    let (width, height) = (240 + 8 * number as u32, 256);
    let seed = number as f64;
    let mut rgb = vec![];
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let blob = (-40.0 * ((u - 0.3 - 0.05 * seed).powi(2) + (v - 0.6).powi(2))).exp();
            for channel in 0..3 {
                let wave = (7.0 * u * f64::from(channel + 1) + 5.0 * v + seed).sin();
                rgb.push((100.0 + 60.0 * wave + 90.0 * blob).clamp(0.0, 255.0) as u8);
            }
        }
    }
    Picture::new(width, height, rgb)
}

/// A run's records without what the clock says.
pub(crate) fn timeless(run: &Run) -> Vec<Record> {
    let mut records = run.records().to_vec();
    for record in &mut records {
        record.explain_secs = 0.0;
    }
    records
}

/// Everything of a run that must not depend on when and how often it was started, bit for bit.
pub(crate) fn contents(run: &Run) -> String {
    let mut text = vec![format!("{:?}", timeless(run))];
    run.visit_curves(|key, curve| text.push(format!("{key} {curve:?}"))).unwrap();
    run.visit_maps(|key, map| text.push(format!("{key} {map:?}"))).unwrap();
    text.join("\n")
}

/// The files of a folder and their bytes.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}
