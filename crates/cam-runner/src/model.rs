//! A network, wherever it comes from: of the zoo, from an ONNX file, or in a runtime as where it is deployed.

use std::path::{Path, PathBuf};

use cam_core::{Classifier, Preprocessing, hex};
use cam_models::{ModelError, UnknownLayer};
use cam_onnx::{Network, OnnxError, OnnxFile, UnknownTensor};
use cam_results::WeightsEntry;
use cam_runtimes::{Deployed, Runtime, RuntimeError};
use sha2::{Digest, Sha256};

/// A network with its weights, and all that is known about them.
#[derive(Debug)]
pub enum Model {
    /// Of the zoo.
    Zoo(Box<cam_models::Loaded>),
    /// From an ONNX file.
    Onnx(Box<OnnxModel>),
    /// In a runtime.
    Deployed(Box<DeployedModel>),
}

/// A network from an ONNX file.
pub type OnnxModel = FileModel<Network>;

/// A network from a file, in a runtime.
pub type DeployedModel = FileModel<Deployed>;

/// A network from a file that has its weights in it, or beside it.
#[derive(Debug)]
pub struct FileModel<N> {
    /// The file.
    pub path: PathBuf,
    /// Ready to be cut.
    pub network: N,
    /// What its images go through.
    pub preprocessing: Preprocessing,
    /// Of the file; of the hashes of all files where weights are beside it.
    pub sha256: String,
}

/// Why a network cannot be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum FileModelError {
    /// The file.
    #[error(transparent)]
    File(#[from] OnnxError),
    /// The runtime, or the file in it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Its hash.
    #[error(transparent)]
    Hash(#[from] ModelError),
    /// Images that are not square.
    #[error("{}: its images are of {height} × {width} pixels; only square ones can be made", path.display())]
    NotSquare {
        /// The file.
        path: PathBuf,
        /// Rows.
        height: i64,
        /// Columns.
        width: i64,
    },
}

/// A layer at which a network cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A network of the zoo.
    #[error(transparent)]
    Stage(#[from] UnknownLayer),
    /// A network from a file.
    #[error(transparent)]
    Tensor(#[from] UnknownTensor),
    /// A network in a runtime.
    #[error("a runtime does not expose layer `{layer}`; `input` alone can be explained")]
    Deployed {
        /// The layer asked for.
        layer: String,
    },
    /// No layer was named, and none can be chosen.
    #[error(
        "no tensor of it is a map of features [K, h, w] with 1 < h, w < K; name a layer (`cambench inspect` lists \
         them), or `layer: input` to explain the pixels"
    )]
    NoDefault,
}

impl<N> FileModel<N> {
    /// A network for images of this size `[H, W]`.
    fn new(
        path: &Path,
        network: N,
        [height, width]: [i64; 2],
        sha256: String,
    ) -> Result<Self, FileModelError> {
        let path = path.to_path_buf();
        if height != width {
            return Err(FileModelError::NotSquare { path, height, width });
        }
        let preprocessing = Preprocessing::imagenet(width as u32);
        Ok(Self { path, network, preprocessing, sha256 })
    }
}

impl OnnxModel {
    /// Reads a file. Its own preprocessing is torchvision's for ImageNet, at the file's size.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    pub fn open(path: &Path, options: &cam_onnx::Options) -> Result<Self, FileModelError> {
        let network = Network::open(path, options)?;
        let size = network.input_size();
        let sha256 = hash_of_all(network.files())?;
        Self::new(path, network, size, sha256)
    }
}

impl DeployedModel {
    /// Opens a file in a runtime. Its preprocessing is that of [`OnnxModel::open`].
    ///
    /// # Errors
    ///
    /// The runtime cannot be had, or the file cannot be used.
    pub fn open(
        path: &Path,
        runtime: Runtime,
        options: &cam_runtimes::Options,
    ) -> Result<Self, FileModelError> {
        // The file first: what is not there is not the runtime's fault, and a runtime's words say less.
        let mut files = vec![path.to_path_buf()];
        let mut options = options.clone();
        let weights = path.with_extension("bin");
        if path.extension().is_none_or(|extension| extension != "xml") {
            let file = OnnxFile::read(path)?;
            files.extend(file.weights);
            options.hooked = file.hooked;
        } else if weights.exists() {
            files.push(weights);
        }
        let sha256 = hash_of_all(&files)?;
        let network = Deployed::open(path, runtime, &options)?;
        let size = network.input_size();
        Self::new(path, network, size, sha256)
    }
}

/// The SHA-256 of a file; of the hashes of several, one a line.
fn hash_of_all(files: &[PathBuf]) -> Result<String, ModelError> {
    let hashes = files.iter().map(|file| cam_models::sha256(file));
    let hashes: Vec<String> = hashes.collect::<Result<_, _>>()?;
    Ok(match &hashes[..] {
        [hash] => hash.clone(),
        hashes => hex(&Sha256::digest(hashes.join("\n"))),
    })
}

impl Model {
    /// What of it is most likely not meant, in sentences about "it".
    pub fn cautions(&self) -> Vec<String> {
        let (output, sigmoid) = match self {
            Self::Zoo(_) => return vec![],
            Self::Onnx(model) => (model.network.output(), model.network.sigmoid()),
            Self::Deployed(model) => (model.network.output(), None),
        };
        let sigmoid = sigmoid.map(|node| {
            format!(
                "it ends in the sigmoid {node}: its numbers are taken for logits, and a softmax of them is no \
                 probability; export it without."
            )
        });
        output.caution().into_iter().chain(sigmoid).collect()
    }

    /// The output that logits are read from, of a file that has several.
    pub(crate) fn output(&self) -> Option<&str> {
        let output = match self {
            Self::Zoo(_) => return None,
            Self::Onnx(model) => model.network.output(),
            Self::Deployed(model) => model.network.output(),
        };
        (!output.others.is_empty()).then_some(&*output.name)
    }

    /// The network cut at a layer, with batches of the planned sizes or of these.
    ///
    /// # Errors
    ///
    /// It cannot be cut there.
    pub fn cut(
        &self,
        layer: &str,
        batches: Option<(i64, i64)>,
    ) -> Result<Box<dyn Classifier + '_>, LayerError> {
        Ok(match self {
            Self::Zoo(loaded) => {
                let cut = loaded.network.cut(layer)?;
                Box::new(batches.map_or(cut, |(batch, head)| cut.with_batch(batch, head)))
            }
            Self::Onnx(model) => {
                let cut = model.network.cut(layer)?;
                Box::new(match batches {
                    Some((batch, head)) => cut.with_batch(batch, head),
                    None => cut,
                })
            }
            Self::Deployed(model) => Box::new(model.at(layer)?),
        })
    }

    /// The layer that a name means, by its own name: `layer4` of a ResNet is its last block.
    ///
    /// # Errors
    ///
    /// It cannot be cut there.
    pub(crate) fn resolved(&self, layer: &str) -> Result<String, LayerError> {
        Ok(match self {
            Self::Zoo(loaded) => loaded.network.cut(layer)?.layer().to_owned(),
            Self::Onnx(model) => model.network.cut(layer)?.layer().to_owned(),
            Self::Deployed(model) => {
                model.at(layer)?;
                cam_runtimes::INPUT.to_owned()
            }
        })
    }

    /// The layer that is explained unless another one is named.
    ///
    /// # Errors
    ///
    /// There is none; a network of the zoo has always one.
    pub fn layer(&self) -> Result<&str, LayerError> {
        match self {
            Self::Zoo(loaded) => Ok(loaded.backbone.layer()),
            Self::Onnx(model) => model.network.default_layer().ok_or(LayerError::NoDefault),
            Self::Deployed(_) => Ok(cam_runtimes::INPUT),
        }
    }

    /// Number of classes.
    pub fn n_classes(&self) -> i64 {
        match self {
            Self::Zoo(loaded) => loaded.network.n_classes(),
            Self::Onnx(model) => model.network.n_classes(),
            Self::Deployed(model) => model.network.n_classes(),
        }
    }

    /// What its images should go through.
    pub fn preprocessing(&self) -> &Preprocessing {
        match self {
            Self::Zoo(loaded) => &loaded.preprocessing,
            Self::Onnx(model) => &model.preprocessing,
            Self::Deployed(model) => &model.preprocessing,
        }
    }

    /// The row of the zoo, or what kind of file it is.
    pub fn architecture(&self) -> String {
        match self {
            Self::Zoo(loaded) => loaded.backbone.name.to_owned(),
            Self::Onnx(model) => format!("ONNX, opset {}", model.network.opset()),
            Self::Deployed(model) => format!("in {}", model.network.runtime()),
        }
    }

    /// Whether its weights are random, and nothing that it says means anything.
    pub fn is_seeded(&self) -> bool {
        match self {
            Self::Zoo(loaded) => loaded.is_seeded,
            Self::Onnx(_) | Self::Deployed(_) => false,
        }
    }

    /// Where the weights come from, for the manifest; `path` is that of weights of one's own.
    pub(crate) fn weights(&self, path: Option<String>) -> WeightsEntry {
        match self {
            Self::Zoo(loaded) => WeightsEntry {
                source: loaded.version.map_or_else(|| loaded.source.clone(), str::to_owned),
                path,
                sha256: Some(loaded.sha256.clone()),
                seeded: loaded.is_seeded,
            },
            Self::Onnx(model) => of_file(&model.path, &model.sha256),
            Self::Deployed(model) => of_file(&model.path, &model.sha256),
        }
    }

    /// The published top-1 accuracy of the weights in use, as a fraction.
    pub(crate) fn published_top1(&self) -> Option<f64> {
        let Self::Zoo(loaded) = self else { return None };
        let version = loaded.version?;
        let weights = loaded.backbone.weights.iter().find(|weights| weights.version == version)?;
        Some(weights.top1 / 100.0)
    }
}

impl DeployedModel {
    /// The network, where it is asked for at its input.
    fn at(&self, layer: &str) -> Result<&Deployed, LayerError> {
        if layer == cam_runtimes::INPUT {
            Ok(&self.network)
        } else {
            Err(LayerError::Deployed { layer: layer.to_owned() })
        }
    }
}

/// Weights that are in the network's own file.
fn of_file(path: &Path, sha256: &str) -> WeightsEntry {
    WeightsEntry {
        source: path.display().to_string(),
        path: Some(path.to_string_lossy().into_owned()),
        sha256: Some(sha256.to_owned()),
        seeded: false,
    }
}
