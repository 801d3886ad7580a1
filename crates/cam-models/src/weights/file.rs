//! Named tensors in a file: `.safetensors`, or what `torch.save` wrote. Pickles are parsed, never executed.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use super::ModelError;

/// A file of named tensors, opened; values are read one tensor at a time.
pub struct WeightsFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    SafeTensors(Vec<u8>),
    PyTorch(HashMap<String, pytorch_reader::Tensor>),
}

impl WeightsFile {
    /// Opens a file and reads its names and shapes.
    ///
    /// # Errors
    ///
    /// The file is missing, truncated or in another format.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let unreadable = |reason| ModelError::Unreadable { path: path.to_owned(), reason };
        // A folder or a missing file is told apart from an unreadable one here.
        if !fs::metadata(path).map_err(io)?.is_file() {
            return Err(unreadable("not a file".to_owned()));
        }
        let content = if path.extension().is_some_and(|extension| extension == "safetensors") {
            let bytes = fs::read(path).map_err(io)?;
            SafeTensors::deserialize(&bytes).map_err(|error| unreadable(error.to_string()))?;
            Content::SafeTensors(bytes)
        } else {
            Content::PyTorch(
                without_panic(|| PytorchReader::new(path)).map_err(unreadable)?.into_tensors(),
            )
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every tensor's name and shape.
    pub fn shapes(&self) -> BTreeMap<String, Vec<i64>> {
        let signed = |shape: &[usize]| shape.iter().map(|&n| n as i64).collect();
        match &self.content {
            Content::SafeTensors(_) => {
                let tensors = self.safetensors().map(|file| file.tensors()).unwrap_or_default();
                tensors.into_iter().map(|(name, view)| (name, signed(view.shape()))).collect()
            }
            Content::PyTorch(tensors) => tensors
                .iter()
                .map(|(name, tensor)| (name.clone(), signed(tensor.shape())))
                .collect(),
        }
    }

    /// A tensor's values as `f32`.
    ///
    /// # Errors
    ///
    /// No tensor of that name, values that are not floating-point numbers or not finite, or a damaged file.
    pub fn read(&self, name: &str) -> Result<Tensor, ModelError> {
        let unreadable = |reason| ModelError::Unreadable { path: self.path.clone(), reason };
        let absent = || unreadable(format!("no tensor `{name}`"));
        let other = |dtype: &dyn std::fmt::Debug| unreadable(format!("`{name}` holds {dtype:?}"));
        let tensor = match &self.content {
            Content::SafeTensors(_) => {
                let view = self
                    .safetensors()
                    .and_then(|file| file.tensor(name).ok())
                    .ok_or_else(absent)?;
                let kind = match view.dtype() {
                    Dtype::F32 => Kind::Float,
                    Dtype::F64 => Kind::Double,
                    Dtype::F16 => Kind::Half,
                    Dtype::BF16 => Kind::BFloat16,
                    dtype => return Err(other(&dtype)),
                };
                tensor(view.data(), view.shape(), kind)
            }
            Content::PyTorch(tensors) => {
                let entry = tensors.get(name).ok_or_else(absent)?;
                let kind = match entry.dtype() {
                    DType::F32 => Kind::Float,
                    DType::F64 => Kind::Double,
                    DType::F16 => Kind::Half,
                    DType::BF16 => Kind::BFloat16,
                    dtype => return Err(other(&dtype)),
                };
                let bytes = without_panic(|| entry.read()).map_err(unreadable)?;
                tensor(&bytes, entry.shape(), kind)
            }
        };
        let tensor = tensor.map_err(|error| unreadable(format!("`{name}`: {error}")))?;
        if tensor.isfinite().all().int64_value(&[]) == 0 {
            return Err(ModelError::NotFinite {
                path: self.path.clone(),
                parameter: name.to_owned(),
            });
        }
        Ok(tensor)
    }

    /// The bytes as a table of tensors; they were checked when the file was opened.
    fn safetensors(&self) -> Option<SafeTensors<'_>> {
        match &self.content {
            Content::SafeTensors(bytes) => SafeTensors::deserialize(bytes).ok(),
            Content::PyTorch(_) => None,
        }
    }
}

fn tensor(bytes: &[u8], shape: &[usize], kind: Kind) -> Result<Tensor, tch::TchError> {
    let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_data_size(bytes, &shape, kind)?.to_kind(Kind::Float))
}

/// A reader's answer, with a panic inside it as an error: the bytes come from anywhere.
fn without_panic<T, E: std::fmt::Display>(
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_panic| "the reader gave up on its content".to_owned())?
        .map_err(|error| error.to_string())
}
