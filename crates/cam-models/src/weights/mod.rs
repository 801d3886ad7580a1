//! Weights: found, verified, downloaded, read and fitted to a plan.

mod budget;
mod caches;
mod download;
mod file;
mod fit;
mod seeded;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cam_core::Preprocessing;
use sha2::{Digest, Sha256};

use crate::network::{Network, Options};
use crate::zoo::{Backbone, PublishedWeights, Source, UnknownModel, by_name};

pub use caches::Caches;
pub use download::{DownloadError, Progress};
pub use file::WeightsFile;
pub use fit::Mismatch;
pub use seeded::seeded;

/// Which weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WeightsChoice {
    /// The first published ones of the zoo.
    #[default]
    Default,
    /// Published ones by their version, for example `IMAGENET1K_V2`.
    Version(String),
    /// A file of one's own: `.safetensors`, or anything that `torch.save` wrote.
    Path(PathBuf),
    /// Random ones, the same for the same number everywhere: see [`seeded`].
    Seeded(u64),
}

/// A backbone with its weights, and all that is known about them.
#[derive(Debug)]
pub struct Loaded {
    /// Its row in the zoo.
    pub backbone: &'static Backbone,
    /// Ready to be cut.
    pub network: Network,
    /// What its images should go through.
    pub preprocessing: Preprocessing,
    /// Where the weights come from: a path, or `seed 7`.
    pub source: String,
    /// The version, where these are published weights of the zoo.
    pub version: Option<&'static str>,
    /// Of the file, or of the seeded values.
    pub sha256: String,
    /// Whether the weights are random.
    pub is_seeded: bool,
}

/// Why a model cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The zoo has no such row.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// No such published weights.
    #[error("{backbone} has no weights `{version}`; there are {known}")]
    UnknownVersion {
        /// The row's name.
        backbone: &'static str,
        /// As asked for.
        version: String,
        /// Those that there are.
        known: String,
    },
    /// Nobody published weights in a form that can be fetched.
    #[error("{0} has no published weights to fetch; name a file of your own (`weights: PATH`)")]
    NotPublished(&'static str),
    /// The set-up has not laid down these weights.
    #[error("weights of {backbone} are not there: no {}; run `cargo xtask setup {backbone}`", .path.display())]
    NotSetUp {
        /// The row's name.
        backbone: &'static str,
        /// Where they should be.
        path: PathBuf,
    },
    /// A download failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A file cannot be opened or read.
    #[error("cannot read {}: {source}; name a weights file that is there and may be read", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A published file is not what was published.
    #[error(
        "{} is damaged: its SHA-256 is {found} and should begin with {expected}; delete it and run again",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The digest, or the digits that it begins with.
        expected: &'static str,
        /// The file's digest.
        found: String,
    },
    /// A file is not weights, or is cut off.
    #[error(
        "{} cannot be read as weights ({reason}); copy or save it again, as .safetensors or with torch.save",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// A checkpoint holds several networks.
    #[error(
        "{} holds several sets of weights ({}); save the one that you mean to a file of its own",
        .path.display(), .sets.join(", ")
    )]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The keys under which they stand.
        sets: Vec<String>,
    },
    /// A file holds another network.
    #[error(transparent)]
    Mismatch(#[from] Box<Mismatch>),
    /// A file is for another number of classes.
    #[error(
        "{} has {found} classes, not {expected}; name a list of its {found} classes, or other weights",
        .path.display()
    )]
    Classes {
        /// The file.
        path: PathBuf,
        /// As asked for.
        expected: i64,
        /// Rows of the last layer.
        found: i64,
    },
    /// A parameter is broken.
    #[error("{}: `{parameter}` holds NaN or infinity; was it saved after training diverged?", .path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        parameter: String,
    },
}

/// Loads a model: finds its weights, downloading them if need be, and builds the network.
///
/// # Errors
///
/// Whatever [`ModelError`] lists; each says what to do about it.
pub fn load(name: &str, choice: &WeightsChoice, options: &Options) -> Result<Loaded, ModelError> {
    load_from(&Caches::from_env(), name, choice, options, &mut |_| {})
}

/// [`load`], looking in these caches and telling how a download goes on.
///
/// # Errors
///
/// As [`load`].
pub fn load_from(
    caches: &Caches,
    name: &str,
    choice: &WeightsChoice,
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Loaded, ModelError> {
    cam_core::keep_memory();
    let backbone = by_name(name)?;
    let (path, published) = match choice {
        WeightsChoice::Seeded(seed) => return Ok(load_seeded(backbone, *seed, options)),
        WeightsChoice::Path(path) => (path.clone(), None),
        WeightsChoice::Default => {
            let weights =
                backbone.weights.first().ok_or(ModelError::NotPublished(backbone.name))?;
            (caches.find(backbone, weights, progress)?, Some(weights))
        }
        WeightsChoice::Version(version) => {
            let weights = backbone.version(version)?;
            (caches.find(backbone, weights, progress)?, Some(weights))
        }
    };
    let sha256 = sha256(&path)?;
    if let Some(weights) = published.filter(|weights| !sha256.starts_with(weights.source.digest()))
    {
        return Err(ModelError::Damaged { path, expected: weights.source.digest(), found: sha256 });
    }
    // Published weights under a path of one's own are still those weights, with their preprocessing.
    let published = published.or_else(|| {
        backbone.weights.iter().find(|weights| sha256.starts_with(weights.source.digest()))
    });
    let preprocessing =
        published.map_or_else(|| backbone.preprocessing(), |weights| weights.preprocessing.clone());
    let (plan, parameters) = fit::fit(&WeightsFile::open(&path)?, backbone, options.classes)?;
    Ok(Loaded {
        backbone,
        network: Network::build(plan, &parameters, &planned_for(options, &preprocessing)),
        preprocessing,
        source: path.display().to_string(),
        version: published.map(|weights| weights.version),
        sha256,
        is_seeded: false,
    })
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
///
/// The file cannot be read.
pub fn sha256(path: &Path) -> Result<String, ModelError> {
    let digest = || {
        let mut file = cam_core::open_file(path)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(cam_core::hex(&digest.finalize())),
                n => digest.update(&buffer[..n]),
            }
        }
    };
    digest().map_err(|source| ModelError::Io { path: path.to_owned(), source })
}

fn load_seeded(backbone: &'static Backbone, seed: u64, options: &Options) -> Loaded {
    let plan = backbone.plan(options.classes.unwrap_or(1000));
    let preprocessing = backbone.preprocessing();
    let parameters = seeded(&plan, seed);
    Loaded {
        backbone,
        sha256: cam_core::hex(&seeded::digest(&parameters)),
        network: Network::build(plan, &parameters, &planned_for(options, &preprocessing)),
        preprocessing,
        source: format!("seed {seed}"),
        version: None,
        is_seeded: true,
    }
}

fn planned_for(options: &Options, preprocessing: &Preprocessing) -> Options {
    Options {
        input_side: options.input_side.or(Some(i64::from(preprocessing.crop))),
        ..options.clone()
    }
}

impl Backbone {
    /// Published weights by version.
    fn version(&self, version: &str) -> Result<&'static PublishedWeights, ModelError> {
        if self.weights.is_empty() {
            return Err(ModelError::NotPublished(self.name));
        }
        self.weights.iter().find(|weights| weights.version == version).ok_or_else(|| {
            let known: Vec<&str> = self.weights.iter().map(|weights| weights.version).collect();
            ModelError::UnknownVersion {
                backbone: self.name,
                version: version.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

impl Source {
    /// The file's SHA-256, or the digits that it begins with.
    pub fn digest(&self) -> &'static str {
        match self {
            Self::Package { sha256, .. } => sha256,
            Self::TorchHub { file } => file
                .strip_suffix(".pth")
                .and_then(|stem| stem.rsplit('-').next())
                .unwrap_or_default(),
        }
    }
}
