//! Which shard has which rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{PLAN, make_folder, shards_folder};
use crate::{
    Error, MethodEntry, ModelEntry, Result, RunManifest, SCHEMA,
    files::{hex, read_text, write_new},
    manifest::Plan,
};

/// The most bytes of a plan: those of millions of shards.
const MAX_BYTES: u64 = 512 << 20;

/// A run cut into shards; written once, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlan {
    /// The version of the folder's files; [`SCHEMA`] in a new one.
    pub schema: u32,
    /// SHA-256 of the run's plan: what `manifest.json` says, but for status, times and command.
    pub run: String,
    /// The folder that relative paths of the run count from.
    pub started_in: String,
    /// The shards in the order of the run's rows.
    pub shards: Vec<Shard>,
    #[serde(skip)]
    id: String,
}

/// A piece of a run: some methods on some images in one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its place in the plan.
    pub index: usize,
    /// The model's name in the sweep.
    pub model: String,
    /// The methods' names in the sweep.
    pub methods: Vec<String>,
    /// The first image and the one after the last, by their places in the run's manifest.
    pub images: [usize; 2],
    /// Where all randomness comes from: the sweep's seed; an image's own is made of it and of the image's name.
    pub seed: u64,
    /// What kind of machine it needs.
    pub class: String,
}

impl Shard {
    /// How many rows it has.
    pub fn n_rows(&self) -> usize {
        (self.images[1] - self.images[0]) * self.methods.len()
    }

    fn has_model(&self, model: &ModelEntry) -> bool {
        model.name == self.model
    }

    fn has_method(&self, method: &MethodEntry) -> bool {
        self.methods.contains(&method.name)
    }

    /// The places of its rows in the run's plan, ascending.
    pub(super) fn places(&self, manifest: &RunManifest, plan: &Plan) -> Vec<usize> {
        let [start, end] = self.images;
        let end = end.min(manifest.images.len());
        let models = manifest.models.iter().enumerate().filter(|(_, model)| self.has_model(model));
        let methods: Vec<usize> = (0..manifest.methods.len())
            .filter(|k| self.has_method(&manifest.methods[*k]))
            .collect();
        let of_image = |m, image| methods.iter().map(move |k| plan.place_at(m, image, *k));
        models.flat_map(|(m, _)| (start..end).flat_map(move |image| of_image(m, image))).collect()
    }
}

impl ShardPlan {
    /// Cuts a run after so many images, into one shard for each model and each of `class_of` its methods.
    ///
    /// # Panics
    /// Where a shard is to have no image.
    pub fn cut(
        manifest: &RunManifest,
        images_per_shard: usize,
        started_in: &Path,
        class_of: impl Fn(&str, &str) -> String,
    ) -> Self {
        assert!(images_per_shard > 0, "a shard has at least one image");
        let mut shards = vec![];
        for model in &manifest.models {
            // By the order of their first methods, so that equal runs have equal plans.
            let mut classes: Vec<(String, Vec<String>)> = vec![];
            for method in manifest.methods.iter().filter(|method| method.runs_on(&model.name)) {
                let class = class_of(&model.name, &method.name);
                match classes.iter_mut().find(|(name, _)| *name == class) {
                    Some((_, methods)) => methods.push(method.name.clone()),
                    None => classes.push((class, vec![method.name.clone()])),
                }
            }
            for start in (0..manifest.images.len()).step_by(images_per_shard) {
                let end = manifest.images.len().min(start + images_per_shard);
                for (class, methods) in &classes {
                    shards.push(Shard {
                        index: shards.len(),
                        model: model.name.clone(),
                        methods: methods.clone(),
                        images: [start, end],
                        seed: manifest.seed,
                        class: class.clone(),
                    });
                }
            }
        }
        let mut plan = Self {
            schema: SCHEMA,
            run: manifest.plan_digest(),
            started_in: started_in.to_string_lossy().into_owned(),
            shards,
            id: String::new(),
        };
        plan.id = digest(&plan.to_json());
        plan
    }

    /// Writes it into a run's folder, or reads the one that is there: a run is cut once.
    ///
    /// # Errors
    /// Where it cannot be written, or the one that is there cannot be read.
    pub fn create_or_read(self, run: &Path, manifest: &RunManifest) -> Result<Self> {
        make_folder(&super::parts_folder(run))?;
        let path = shards_folder(run).join(PLAN);
        if write_new(&path, self.to_json().as_bytes())? {
            Ok(self)
        } else {
            Self::read(run, manifest)
        }
    }

    /// Reads the plan of a run's folder.
    ///
    /// # Errors
    /// Where there is none ([`Error::NotCut`]), it is damaged, of a newer schema, or another run's.
    pub fn read(run: &Path, manifest: &RunManifest) -> Result<Self> {
        let path = shards_folder(run).join(PLAN);
        let text = read_text(&path, MAX_BYTES).map_err(|error| match error {
            Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Error::NotCut { folder: run.to_owned() }
            }
            error => error,
        })?;
        let damaged = |message: String| Error::Damaged { path: path.clone(), message };
        let plan: Self = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if plan.schema > SCHEMA {
            let found = u64::from(plan.schema);
            return Err(Error::Newer { path, found, supported: SCHEMA });
        }
        if plan.run != manifest.plan_digest() {
            return Err(damaged("it belongs to another plan than the manifest's".into()));
        }
        plan.check(manifest).map_err(damaged)?;
        Ok(Self { id: digest(&text), ..plan })
    }

    /// Checks that the shards have every row of the run once, in the order in which they are cut: everything that reads a
    /// plan takes it for granted.
    fn check(&self, manifest: &RunManifest) -> std::result::Result<(), String> {
        let n_images = manifest.images.len();
        let models: BTreeMap<&str, usize> =
            manifest.models.iter().enumerate().map(|(m, model)| (&*model.name, m)).collect();
        let methods: BTreeMap<&str, &MethodEntry> =
            manifest.methods.iter().map(|method| (&*method.name, method)).collect();
        // Of the shard before: its model and its images, and the methods that these have by now.
        let mut before: Option<(usize, [usize; 2])> = None;
        let mut there = BTreeSet::new();
        for (place, shard) in self.shards.iter().enumerate() {
            let wrong = |what: &str| Err(format!("its shard {place} {what}"));
            let [start, end] = shard.images;
            let Some(&model) = models.get(&*shard.model) else {
                return wrong("is of a model that the run does not have");
            };
            let follows = match before {
                None => start == 0,
                Some((m, images)) if m == model => images == shard.images || images[1] == start,
                Some((m, [_, end])) => m < model && end == n_images && start == 0,
            };
            if shard.index != place {
                return wrong("has the index of another one");
            }
            if start >= end || end > n_images || !follows {
                return wrong("has other images than its place says");
            }
            if shard.seed != manifest.seed {
                return wrong("has another seed than the run");
            }
            if before != Some((model, shard.images)) {
                there.clear();
            }
            before = Some((model, shard.images));
            for name in &shard.methods {
                let is_meant = |method: &&MethodEntry| method.runs_on(&shard.model);
                if !methods.get(&**name).is_some_and(is_meant) || !there.insert(name.as_str()) {
                    return wrong("has a method twice, or one that does not run there");
                }
            }
        }
        let n_rows: usize = self.shards.iter().map(Shard::n_rows).sum();
        let planned = manifest.n_rows();
        if n_rows == planned {
            Ok(())
        } else {
            Err(format!("its shards have {n_rows} of the run's {planned} rows"))
        }
    }

    /// The first 16 digits of its SHA-256.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Eight digits for this plan in a run's folder: another folder's run of the same plan has others.
    pub fn id_in(&self, run: &Path) -> String {
        digest(&format!("{} {}", self.id, run.display()))[..8].to_owned()
    }

    /// The shard of an index.
    ///
    /// # Errors
    /// Where there is none.
    pub fn shard(&self, index: usize) -> Result<&Shard> {
        let n_shards = self.shards.len();
        self.shards.get(index).ok_or(Error::NoSuchShard { index, n_shards })
    }

    /// The manifest of the small run that a shard is.
    ///
    /// # Errors
    /// Where there is no such shard.
    pub fn manifest_of(&self, manifest: &RunManifest, index: usize) -> Result<RunManifest> {
        let shard = self.shard(index)?;
        let [start, end] = shard.images;
        let images = manifest.images.get(start..end).unwrap_or_default().to_vec();
        Ok(manifest.with(images, |model| shard.has_model(model), |method| shard.has_method(method)))
    }

    /// How many shards there are of each class, in the order of the classes' names.
    pub fn classes(&self) -> BTreeMap<&str, usize> {
        let mut classes = BTreeMap::new();
        for shard in &self.shards {
            *classes.entry(shard.class.as_str()).or_insert(0) += 1;
        }
        classes
    }

    fn to_json(&self) -> String {
        let shards: Vec<String> = self
            .shards
            .iter()
            .map(|shard| serde_json::to_string(shard).expect("a shard is always JSON"))
            .collect();
        let head = serde_json::json!({
            "schema": self.schema, "run": self.run, "started_in": self.started_in,
        });
        let head = head.to_string();
        // A shard a line, to be read by people and by `grep`.
        format!("{},\n\"shards\":[\n{}\n]}}\n", &head[..head.len() - 1], shards.join(",\n"))
    }
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    hex(&digest[..8])
}

/// Ascending numbers in few words: `0-311,400`.
pub(crate) fn numbers(numbers: &[usize]) -> String {
    let mut ranges: Vec<[usize; 2]> = vec![];
    for &number in numbers {
        match ranges.last_mut() {
            Some([_, end]) if *end + 1 == number => *end = number,
            _ => ranges.push([number, number]),
        }
    }
    let range = |[start, end]: &[usize; 2]| {
        if start == end { start.to_string() } else { format!("{start}-{end}") }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{manifest, model};

    fn two_models() -> RunManifest {
        let mut manifest = manifest();
        manifest.models.push(model("vgg16"));
        manifest.methods[1].except = vec!["vgg16".into()];
        manifest
    }

    fn cut(manifest: &RunManifest) -> ShardPlan {
        let class = |_: &str, method: &str| if method == "rise" { "slow" } else { "main" }.into();
        ShardPlan::cut(manifest, 2, Path::new("somewhere"), class)
    }

    #[test]
    fn the_shards_of_a_plan_have_every_row_of_the_run_once() {
        let manifest = two_models();
        let plan = cut(&manifest);
        // Two ranges of images: two classes in one model, and one in the other, where `rise` does not run.
        assert_eq!(plan.classes(), BTreeMap::from([("main", 4), ("slow", 2)]));
        let mut rows: Vec<_> = (0..plan.shards.len())
            .flat_map(|i| plan.manifest_of(&manifest, i).unwrap().plan().collect::<Vec<_>>())
            .collect();
        let mut planned: Vec<_> = manifest.plan().collect();
        assert_eq!(plan.shards.iter().map(Shard::n_rows).sum::<usize>(), planned.len());
        rows.sort();
        planned.sort();
        assert_eq!(rows, planned);
    }

    #[test]
    fn a_plan_is_written_once_and_reads_back_under_the_same_hash() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = two_models();
        let plan = cut(&manifest).create_or_read(folder.path(), &manifest).unwrap();
        assert_eq!(ShardPlan::read(folder.path(), &manifest).unwrap(), plan);
        let other = ShardPlan::cut(&manifest, 1, Path::new("elsewhere"), |_, _| "main".into());
        assert_ne!(other.id(), plan.id());
        assert_eq!(other.create_or_read(folder.path(), &manifest).unwrap(), plan);
        let error = ShardPlan::read(folder.path(), &crate::testing::manifest()).unwrap_err();
        assert!(error.to_string().contains("belongs to another plan"), "{error}");
        let [a, b] = ["/mnt/a", "/mnt/b"].map(|run| plan.id_in(Path::new(run)));
        assert!(a.len() == 8 && a != b, "{a} {b}");
        let error = plan.shard(6).unwrap_err().to_string();
        assert!(error.contains("no shard 6") && error.contains("0 to 5"), "{error}");
    }

    #[test]
    fn a_plan_with_a_digit_changed_is_damaged_and_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = two_models();
        let plan = cut(&manifest).create_or_read(folder.path(), &manifest).unwrap();
        let path = shards_folder(folder.path()).join(PLAN);
        let error = |change: &dyn Fn(&mut ShardPlan)| {
            let mut plan = plan.clone();
            change(&mut plan);
            std::fs::write(&path, plan.to_json()).unwrap();
            let error = ShardPlan::read(folder.path(), &manifest).unwrap_err();
            assert!(matches!(&error, Error::Damaged { path: named, .. } if *named == path));
            error.to_string()
        };
        let images = "its shard 2 has other images than its place says";
        for wrong in [[3, 2], [2, 2], [2, 9], [1, 3], [2, usize::MAX]] {
            let said = error(&|plan| plan.shards[2].images = wrong);
            assert!(said.contains(images), "{wrong:?}: {said}");
        }
        assert!(error(&|plan| plan.shards[1].index = 7).contains("shard 1 has the index of"));
        assert!(error(&|plan| plan.shards[1].seed ^= 1).contains("another seed"));
        assert!(error(&|plan| plan.shards[1].model = "vgg".into()).contains("does not have"));
        assert!(error(&|plan| plan.shards[1].methods.clear()).contains("rows"));
        let twice = error(&|plan| {
            let method = plan.shards[0].methods[0].clone();
            plan.shards[1].methods.push(method);
        });
        assert!(twice.contains("a method twice"), "{twice}");
        assert!(error(&|plan| drop(plan.shards.pop())).contains("of the run's"));
        assert!(error(&|plan| plan.shards.swap(0, 2)).contains("shard 0"));
        std::fs::write(&path, plan.to_json()).unwrap();
        assert_eq!(ShardPlan::read(folder.path(), &manifest).unwrap(), plan);
    }

    #[test]
    fn ascending_numbers_are_written_as_ranges() {
        assert_eq!(numbers(&[]), "");
        assert_eq!(numbers(&[0, 1, 2, 4, 6, 7]), "0-2,4,6-7");
    }
}
