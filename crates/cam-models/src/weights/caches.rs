//! Where weights are looked for, and where they are put.

use std::env;
use std::ffi::OsString;
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
    /// The folders that the environment names: torch.hub's own rule, and [`cam_core::cache_folder`].
    /// `CAMBENCH_WEIGHTS_URL` names a mirror of torchvision's weights.
    pub fn from_env() -> Self {
        Self {
            torch_hub: torch_hub(|name| env::var_os(name)),
            weights: cam_core::cache_folder().join("weights"),
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

/// Where torch.hub keeps checkpoints: in `$TORCH_HOME`, else `$XDG_CACHE_HOME/torch`, else `~/.cache/torch`.
fn torch_hub(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("TORCH_HOME")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("torch")))
        .unwrap_or_else(|| folder("HOME").unwrap_or_default().join(".cache/torch"))
        .join("hub/checkpoints")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_folder_of_checkpoints_is_found_under_every_variable_that_moves_it() {
        let hub = |set: &[(&str, &str)]| {
            torch_hub(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        let home = ("HOME", "/me");
        assert_eq!(hub(&[home]), Path::new("/me/.cache/torch/hub/checkpoints"));
        let cache = ("XDG_CACHE_HOME", "/cache");
        assert_eq!(hub(&[home, cache]), Path::new("/cache/torch/hub/checkpoints"));
        let torch = ("TORCH_HOME", "/torch");
        assert_eq!(hub(&[home, cache, torch]), Path::new("/torch/hub/checkpoints"));
        assert_eq!(hub(&[home, cache, ("TORCH_HOME", "")]), hub(&[home, cache]));
    }
}
