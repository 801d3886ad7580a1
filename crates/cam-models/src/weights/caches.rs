//! Where weights are looked for, and where they are put.

use std::env;
use std::path::{Path, PathBuf};

use super::{ModelError, Progress, download};
use crate::zoo::{Backbone, PublishedWeights, Source};

/// Folders of downloaded files, and where downloads come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caches {
    /// torch.hub's own folder, shared with Python.
    pub torch_hub: PathBuf,
    /// cambench's folder of weights, filled by the set-up.
    pub weights: PathBuf,
    /// What a file's name is appended to for a download.
    pub base_url: String,
}

impl Caches {
    /// The folders that the environment names: `TORCH_HOME`, `CAMBENCH_CACHE`, else inside `XDG_CACHE_HOME`, else inside
    /// `~/.cache`. `CAMBENCH_WEIGHTS_URL` names a mirror of torchvision's weights.
    pub fn from_env() -> Self {
        let folder =
            |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = folder("XDG_CACHE_HOME")
            .unwrap_or_else(|| env::home_dir().unwrap_or_else(env::temp_dir).join(".cache"));
        Self {
            torch_hub: folder("TORCH_HOME")
                .unwrap_or_else(|| cache.join("torch"))
                .join("hub/checkpoints"),
            weights: folder("CAMBENCH_CACHE")
                .unwrap_or_else(|| cache.join("cambench"))
                .join("weights"),
            base_url: env::var("CAMBENCH_WEIGHTS_URL")
                .unwrap_or_else(|_not_set| "https://download.pytorch.org/models".to_owned()),
        }
    }

    /// The file of published weights, downloaded if it may be.
    pub(super) fn find(
        &self,
        backbone: &'static Backbone,
        weights: &PublishedWeights,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, ModelError> {
        let found = |path: &Path| path.is_file();
        match weights.source {
            Source::Package { file, .. } => {
                let path = self.weights.join(file);
                if found(&path) {
                    Ok(path)
                } else {
                    Err(ModelError::NotSetUp { backbone: backbone.name, path })
                }
            }
            Source::TorchHub { file } => {
                let path = self.torch_hub.join(file);
                if let Some(path) =
                    [&path, &self.weights.join(file)].into_iter().find(|path| found(path))
                {
                    return Ok(path.clone());
                }
                let url = format!("{}/{file}", self.base_url.trim_end_matches('/'));
                download::fetch(&url, &path, weights.source.digest(), progress)?;
                Ok(path)
            }
        }
    }
}
