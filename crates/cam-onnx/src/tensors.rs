//! Tensors of the file, and of the files beside it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tch::{Kind, Tensor};

use crate::error::Problem;
use crate::proto::{
    StringStringEntryProto, TensorProto,
    tensor_proto::{DataLocation, DataType},
};

/// The folder that external data may lie in; `None` where a model has no folder.
#[derive(Debug, Default)]
pub(crate) struct ExternalData {
    pub(crate) folder: Option<PathBuf>,
    /// Those that were read.
    pub(crate) files: RefCell<BTreeSet<PathBuf>>,
}

/// How many numbers one tensor may hold.
pub(crate) const MAX_ELEMENTS: i64 = 1 << 31;

/// The element type that a type of the file is computed in: short floats become `f32`.
pub(crate) fn kind(data_type: i32) -> Result<Kind, String> {
    match DataType::try_from(data_type) {
        Ok(DataType::Float | DataType::Float16 | DataType::Bfloat16) => Ok(Kind::Float),
        Ok(DataType::Double) => Ok(Kind::Double),
        Ok(DataType::Int64 | DataType::Uint64 | DataType::Uint32) => Ok(Kind::Int64),
        Ok(DataType::Int32 | DataType::Uint16) => Ok(Kind::Int),
        Ok(DataType::Int16) => Ok(Kind::Int16),
        Ok(DataType::Int8) => Ok(Kind::Int8),
        Ok(DataType::Uint8) => Ok(Kind::Uint8),
        Ok(DataType::Bool) => Ok(Kind::Bool),
        Ok(other) => Err(format!("element type {} is not supported", other.as_str_name())),
        Err(_) => Err(format!("element type {data_type} is unknown")),
    }
}

/// The product of a shape, where it is one.
pub(crate) fn n_elements(shape: &[i64]) -> Option<i64> {
    let product = shape.iter().try_fold(1_i64, |product, &side| {
        (side >= 0).then(|| product.checked_mul(side)).flatten()
    })?;
    (product <= MAX_ELEMENTS).then_some(product)
}

/// A tensor of the file, on the processor. Nothing larger than what the file really holds is allocated.
pub(crate) fn tensor(proto: &TensorProto, external: &ExternalData) -> Result<Tensor, Problem> {
    let wrong = |what: &str| Problem::Graph(format!("tensor `{}`: {what}", proto.name()));
    let n = n_elements(&proto.dims)
        .ok_or_else(|| wrong(&format!("its shape {:?} is no shape", proto.dims)))?;
    let kind = kind(proto.data_type()).map_err(|what| wrong(&what))?;
    let data_type = DataType::try_from(proto.data_type()).unwrap_or_default();
    if proto.segment.is_some() {
        return Err(wrong("it is one of several segments, which is not supported"));
    }
    let check = |found: usize, what: &str| {
        if found as i64 == n {
            Ok(())
        } else {
            Err(wrong(&format!(
                "its shape {:?} has {n} numbers, and there are {found} {what}",
                proto.dims
            )))
        }
    };
    let (bytes, stored): (Cow<'_, [u8]>, _) = if proto.data_location() == DataLocation::External {
        let size = n as u64 * element_bytes(data_type) as u64;
        let bytes = external.read(&proto.external_data, size, &wrong)?;
        (Cow::Owned(bytes), data_type)
    } else if let Some(raw) = &proto.raw_data {
        (Cow::Borrowed(&raw[..]), data_type)
    } else if !proto.float_data.is_empty() {
        (proto.float_data.iter().flat_map(|x| x.to_le_bytes()).collect(), DataType::Float)
    } else if !proto.double_data.is_empty() {
        (proto.double_data.iter().flat_map(|x| x.to_le_bytes()).collect(), DataType::Double)
    } else if !proto.int64_data.is_empty() {
        (proto.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect(), DataType::Int64)
    } else if !proto.uint64_data.is_empty() {
        (proto.uint64_data.iter().flat_map(|x| x.to_le_bytes()).collect(), DataType::Uint64)
    } else {
        // Every narrower type stands here, a number each; short floats by their bits.
        let short = matches!(data_type, DataType::Float16 | DataType::Bfloat16);
        let bytes = if short {
            proto.int32_data.iter().flat_map(|&x| (x as u16).to_le_bytes()).collect()
        } else {
            proto.int32_data.iter().flat_map(|x| x.to_le_bytes()).collect()
        };
        (bytes, if short { data_type } else { DataType::Int32 })
    };
    if bytes.len() % element_bytes(stored) != 0 {
        return Err(wrong("its data end within a number"));
    }
    check(bytes.len() / element_bytes(stored), "in the file")?;
    let read = from_bytes(&bytes, &proto.dims, stored).map_err(|what| wrong(&what))?;
    read.f_to_kind(kind).map_err(|error| wrong(&error.to_string()))
}

fn element_bytes(data_type: DataType) -> usize {
    match data_type {
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        _ => 1,
    }
}

fn from_bytes(bytes: &[u8], shape: &[i64], data_type: DataType) -> Result<Tensor, String> {
    // libtorch has no unsigned types of these widths; they are widened first.
    let widened = |wide: Vec<i64>| {
        let tensor = Tensor::from_slice(&wide);
        tensor.f_reshape(shape).map_err(|error| error.to_string())
    };
    let kind = match data_type {
        DataType::Float => Kind::Float,
        DataType::Float16 => Kind::Half,
        DataType::Bfloat16 => Kind::BFloat16,
        DataType::Double => Kind::Double,
        DataType::Int64 => Kind::Int64,
        DataType::Int32 => Kind::Int,
        DataType::Int16 => Kind::Int16,
        DataType::Int8 => Kind::Int8,
        DataType::Uint8 => Kind::Uint8,
        DataType::Bool => Kind::Bool,
        DataType::Uint16 => {
            let numbers =
                bytes.chunks_exact(2).map(|b| i64::from(u16::from_le_bytes([b[0], b[1]])));
            return widened(numbers.collect());
        }
        DataType::Uint32 => {
            let numbers = bytes
                .chunks_exact(4)
                .map(|b| i64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            return widened(numbers.collect());
        }
        DataType::Uint64 => {
            let numbers = bytes
                .chunks_exact(8)
                .map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .map(i64::try_from);
            let numbers: Result<Vec<i64>, _> = numbers.collect();
            return widened(numbers.map_err(|error| error.to_string())?);
        }
        other => return Err(format!("element type {} is not supported", other.as_str_name())),
    };
    // A flag is 0 or 1 to libtorch, whatever the file holds.
    if kind == Kind::Bool {
        let flags: Vec<bool> = bytes.iter().map(|&byte| byte != 0).collect();
        return Tensor::from_slice(&flags).f_reshape(shape).map_err(|error| error.to_string());
    }
    if bytes.is_empty() {
        return Tensor::f_zeros(shape, (kind, tch::Device::Cpu)).map_err(|e| e.to_string());
    }
    Tensor::f_from_data_size(bytes, shape, kind).map_err(|error| error.to_string())
}

impl ExternalData {
    /// Of the model at a path.
    pub(crate) fn beside(path: &Path) -> Self {
        let folder = path.parent().map(|folder| {
            if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_path_buf()
        });
        Self { folder, ..Self::default() }
    }

    /// `size` bytes of a file inside the model's folder; what the model says of it is `wrong` where it cannot be.
    fn read(
        &self,
        entries: &[StringStringEntryProto],
        size: u64,
        wrong: &dyn Fn(&str) -> Problem,
    ) -> Result<Vec<u8>, Problem> {
        let entry = |key: &str| entries.iter().find(|entry| entry.key() == key);
        let number = |key: &str| match entry(key).map(|entry| entry.value().parse::<u64>()) {
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(wrong(&format!("the `{key}` of its external data is no number"))),
            None => Ok(None),
        };
        let location = entry("location").map(StringStringEntryProto::value).unwrap_or_default();
        let relative = Path::new(location);
        let stays_inside = !location.is_empty()
            && relative
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let outside =
            || wrong(&format!("its data are at `{location}`, outside of the model's folder"));
        let folder = self.folder.as_ref().ok_or_else(|| wrong("its data are in another file"))?;
        if !stays_inside {
            return Err(outside());
        }
        let path = folder.join(relative);
        let unreadable = |source| Problem::Weights { file: path.clone(), source };
        // A link must not lead out either.
        let real = path.canonicalize().map_err(unreadable)?;
        if !real.starts_with(folder.canonicalize().map_err(unreadable)?) {
            return Err(outside());
        }
        let mut file = File::open(&real).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(wrong(&format!("{} is no file", path.display())));
        }
        let offset = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(size);
        if length != size {
            return Err(wrong(&format!(
                "its shape needs {size} bytes, and {length} are said to be there"
            )));
        }
        if offset.checked_add(size).is_none_or(|end| end > metadata.len()) {
            return Err(wrong(&format!(
                "{} has {} bytes, and {size} from byte {offset} on are needed; was it copied whole?",
                path.display(),
                metadata.len()
            )));
        }
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut bytes = vec![0; size as usize];
        file.read_exact(&mut bytes).map_err(unreadable)?;
        self.files.borrow_mut().insert(path.clone());
        Ok(bytes)
    }
}
