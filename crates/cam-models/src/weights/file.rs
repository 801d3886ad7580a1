//! Named tensors in a file: `.safetensors`, or what `torch.save` wrote. Pickles are parsed, never executed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cam_core::{open_file, read_file};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use tch::{Kind, Tensor};

use super::{ModelError, budget};

/// A file of named tensors, opened; values are read one tensor at a time.
pub struct WeightsFile {
    path: PathBuf,
    /// How many bytes it has.
    length: u64,
    content: Content,
}

enum Content {
    /// All bytes, where the tensors begin in them, and the header.
    SafeTensors(Vec<u8>, usize, Metadata),
    PyTorch(HashMap<String, pytorch_reader::Tensor>),
}

/// The largest file that is read, in bytes: twenty times as large as the zoo's largest.
const MAX_BYTES: u64 = 16 << 30;

/// The largest header of a `.safetensors` file, in bytes: a hundred thousand tensors.
const MAX_HEADER: u64 = 16 << 20;

impl WeightsFile {
    /// Opens a file and reads its names and shapes.
    ///
    /// # Errors
    ///
    /// The file is missing, truncated or in another format.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let unreadable = |reason| ModelError::Unreadable { path: path.to_owned(), reason };
        let content = if path.extension().is_some_and(|extension| extension == "safetensors") {
            let bytes = read_file(path, MAX_BYTES).map_err(io)?;
            let (start, header) = header(&bytes).map_err(unreadable)?;
            Content::SafeTensors(bytes, start, header)
        } else {
            budget::check(&open_file(path).map_err(io)?).map_err(unreadable)?;
            Content::PyTorch(
                without_panic(|| PytorchReader::new(path)).map_err(unreadable)?.into_tensors(),
            )
        };
        let length = fs::metadata(path).map_err(io)?.len();
        Ok(Self { path: path.to_owned(), length, content })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every tensor's name and shape.
    pub fn shapes(&self) -> BTreeMap<String, Vec<i64>> {
        let signed = |shape: &[usize]| shape.iter().map(|&n| n as i64).collect();
        match &self.content {
            Content::SafeTensors(_, _, header) => header
                .tensors()
                .into_iter()
                .map(|(name, info)| (name, signed(&info.shape)))
                .collect(),
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
            Content::SafeTensors(bytes, start, header) => {
                let info = header.info(name).ok_or_else(absent)?;
                let kind = match info.dtype {
                    Dtype::F32 => Kind::Float,
                    Dtype::F64 => Kind::Double,
                    Dtype::F16 => Kind::Half,
                    Dtype::BF16 => Kind::BFloat16,
                    dtype => return Err(other(&dtype)),
                };
                // That they lie within the file was checked when it was opened.
                let (first, end) = info.data_offsets;
                tensor(&bytes[start + first..start + end], &info.shape, kind)
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
                // A view of a few numbers may claim any number of them.
                if entry.byte_len() as u64 > self.length {
                    return Err(unreadable(format!(
                        "`{name}` takes {} bytes, more than the file has",
                        entry.byte_len()
                    )));
                }
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
}

/// Where the tensors of a `.safetensors` file begin, and its header: the shapes fill the file without gap or overlap, and no
/// name is there twice.
fn header(bytes: &[u8]) -> Result<(usize, Metadata), String> {
    const LENGTH: usize = size_of::<u64>();
    let claimed = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    if let Some(length) = claimed.filter(|length| *length > MAX_HEADER) {
        return Err(format!("its header claims {length} bytes; {MAX_HEADER} are the most"));
    }
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let start = LENGTH + length;
    serde_json::from_slice::<Names>(&bytes[LENGTH..start]).map_err(|error| error.to_string())?;
    Ok((start, header))
}

/// The keys of a map, each there once.
struct Names;

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut seen = BTreeSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                    if seen.contains(&name) {
                        return Err(A::Error::custom(format!("`{name}` is there twice")));
                    }
                    seen.insert(name);
                }
                Ok(Names)
            }
        }

        deserializer.deserialize_map(Once)
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
