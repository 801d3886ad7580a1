//! How far a run's shards are, by their files alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{FAILED, ShardPlan, make_folder, names, parts, parts_folder, shards_folder};
use crate::{
    Error, Result,
    files::{read_text, write_bytes},
};

/// The most bytes of a failure: a message, whose numbers of files and classes are bounded.
const MAX_BYTES: u64 = 1 << 20;

/// How far the shards of a run are.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// What became of each shard, in the order of the plan.
    #[serde(skip)]
    pub shards: Vec<ShardState>,
    /// How many shards there are.
    pub n_shards: usize,
    /// How many of them are committed.
    pub n_committed: usize,
    /// How many rows the run will have.
    pub n_rows: usize,
    /// How many of them are in committed shards.
    pub n_committed_rows: usize,
    /// Shards that are not committed, as in `0-311,400`.
    pub missing: String,
    /// Those of them at which an attempt failed.
    pub failed: Vec<Failure>,
}

/// What became of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// Its rows are there.
    Committed,
    /// Some process has begun; whether it is still there, the files do not say.
    Begun,
    /// The last thing known of it is a failure.
    Failed,
    /// Nobody has begun.
    Waiting,
}

/// Why an attempt at a shard failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The shard.
    pub shard: usize,
    /// Where.
    pub host: String,
    /// Why.
    pub message: String,
}

impl Failure {
    /// Keeps it in the run's folder, for [`progress`].
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let folder = shards_folder(run).join(FAILED);
        make_folder(&folder)?;
        let there = names(&folder)?.len();
        // The last in the order of the names counts.
        let name = format!("{:06}.{there:06}.{}.json", self.shard, std::process::id());
        let text = serde_json::to_string(self).expect("a failure is always JSON");
        write_bytes(&folder.join(name), text.as_bytes())
    }
}

impl Progress {
    /// The shards that are not committed.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let missing = self.shards.iter().enumerate();
        missing.filter(|(_, state)| **state != ShardState::Committed).map(|(shard, _)| shard)
    }

    /// How many they are.
    pub fn n_missing(&self) -> usize {
        self.n_shards - self.n_committed
    }
}

/// How far the shards of a run are: which parts there are, and not what is in them.
///
/// # Errors
/// Where the folder cannot be read.
pub fn progress(run: &Path, plan: &ShardPlan, is_finished: bool) -> Result<Progress> {
    let committed: BTreeSet<usize> = if is_finished {
        (0..plan.shards.len()).collect()
    } else {
        parts(run)?.into_iter().map(|(shard, _)| shard).collect()
    };
    let mut failed = BTreeMap::new();
    let folder = shards_folder(run).join(FAILED);
    for name in names(&folder)?.iter().filter(|name| !name.starts_with('.')) {
        let path = folder.join(name);
        let text = read_text(&path, MAX_BYTES)?;
        let failure: Failure = serde_json::from_str(&text)
            .map_err(|error| Error::Damaged { path, message: error.to_string() })?;
        failed.insert(failure.shard, failure);
    }
    let begun: BTreeSet<usize> = names(&parts_folder(run))?
        .iter()
        .filter_map(|name| name.strip_prefix('.')?.split('.').next()?.parse().ok())
        .collect();
    let state = |shard: usize| {
        if committed.contains(&shard) {
            ShardState::Committed
        } else if failed.contains_key(&shard) {
            ShardState::Failed
        } else if begun.contains(&shard) {
            ShardState::Begun
        } else {
            ShardState::Waiting
        }
    };
    let shards: Vec<_> = (0..plan.shards.len()).map(state).collect();
    let rows = |is_meant: &dyn Fn(usize) -> bool| -> usize {
        plan.shards.iter().filter(|shard| is_meant(shard.index)).map(super::Shard::n_rows).sum()
    };
    let mut progress = Progress {
        n_shards: shards.len(),
        n_committed: shards.iter().filter(|state| **state == ShardState::Committed).count(),
        n_rows: rows(&|_| true),
        n_committed_rows: rows(&|shard| shards[shard] == ShardState::Committed),
        missing: String::new(),
        failed: failed
            .into_values()
            .filter(|failure| shards.get(failure.shard) == Some(&ShardState::Failed))
            .collect(),
        shards,
    };
    progress.missing = super::numbers(&progress.missing().collect::<Vec<_>>());
    Ok(progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::manifest;

    #[test]
    fn the_last_of_many_failures_of_a_shard_is_the_one_that_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let plan = ShardPlan::cut(&manifest(), 1, Path::new("."), |_, _| "main".into());
        for i in 0..12 {
            let message = format!("failure {i}");
            Failure { shard: 1, host: "n1".into(), message }.write(folder.path()).unwrap();
        }
        let progress = progress(folder.path(), &plan, false).unwrap();
        let told: Vec<_> = progress.failed.iter().map(|failure| &*failure.message).collect();
        assert_eq!(told, ["failure 11"]);
    }
}
