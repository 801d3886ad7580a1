//! ONNX Runtime, by the crate `ort`.

use std::{
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

use cam_core::Port;
use ort::{
    environment::Environment,
    session::Session,
    value::{TensorElementType, TensorRef, ValueType},
};

use crate::{
    Options, Problem, Runtime, RuntimeError,
    deployed::{Batches, Output, Runner},
    library,
};

/// A network in a session of ONNX Runtime.
pub(crate) struct OnnxRuntime {
    session: Session,
    version: String,
}

/// The process's environment; the library is loaded with it, once.
fn environment() -> Result<&'static Environment, RuntimeError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    // A second one is refused, even if two threads make theirs at once.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let unloadable = |error: &dyn ToString| Runtime::OnnxRuntime.unloadable(error.to_string());
    let path = library::find(Runtime::OnnxRuntime)?;
    let environment = ort::init_from(path)
        .map_err(|error| unloadable(&error))?
        .with_telemetry(false)
        .build()
        .map_err(|error| unloadable(&error))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// The release that stands behind the library's name, which its build info does not say: `1.32.0` of `libonnxruntime.so.1.32.0`.
fn version_in(library: &Path) -> Option<String> {
    let name = library.file_name()?.to_str()?;
    let (_, version) = name.split_once(".so.")?;
    Some(version.to_owned())
}

/// As [`version_in`], with links followed; the whole build info where the name says nothing.
fn version() -> Result<String, RuntimeError> {
    let library = library::find(Runtime::OnnxRuntime)?;
    let real = library.canonicalize().unwrap_or(library);
    Ok(version_in(&real).unwrap_or_else(|| ort::info().to_owned()))
}

impl OnnxRuntime {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, RuntimeError> {
        let environment = environment()?;
        let refused = |error: &dyn ToString| {
            let message = error.to_string();
            let problem = Problem::Refused { runtime: Runtime::OnnxRuntime, message };
            RuntimeError::Network { path: path.to_path_buf(), problem }
        };
        let session = Session::builder(environment)
            .map_err(|error| refused(&error))?
            .with_intra_threads(options.threads)
            .map_err(|error| refused(&error))?
            .commit_from_file(path)
            .map_err(|error| refused(&error))?;
        Ok(Self { session, version: version()? })
    }

    fn port(outlet: &ort::value::Outlet) -> Port {
        let shape = match outlet.dtype() {
            ValueType::Tensor { shape, .. } => {
                Some(shape.iter().map(|&side| (side > 0).then_some(side)).collect())
            }
            _ => None,
        };
        let is_float = outlet.dtype().tensor_type() == Some(TensorElementType::Float32);
        Port { name: outlet.name().to_owned(), shape, is_float }
    }
}

impl Runner for OnnxRuntime {
    fn version(&self) -> &str {
        &self.version
    }

    fn inputs(&self) -> Result<Vec<Port>, String> {
        Ok(self.session.inputs().iter().map(Self::port).collect())
    }

    fn outputs(&self) -> Result<Vec<Port>, String> {
        Ok(self.session.outputs().iter().map(Self::port).collect())
    }

    fn prepare(&mut self, _: &Batches) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, shape: &[i64], values: &[f32], output: usize) -> Result<Output, String> {
        let text = |error: ort::Error| error.to_string();
        let images = TensorRef::from_array_view((shape.to_vec(), values)).map_err(text)?;
        let outputs = self.session.run(ort::inputs![images]).map_err(text)?;
        let value = outputs.values().nth(output).ok_or("it gave fewer outputs")?;
        let values = match value.dtype().tensor_type() {
            Some(TensorElementType::Float32) => {
                value.try_extract_tensor::<f32>().map_err(text)?.1.to_vec()
            }
            Some(TensorElementType::Uint8) => {
                let (_, values) = value.try_extract_tensor::<u8>().map_err(text)?;
                values.iter().copied().map(f32::from).collect()
            }
            other => return Err(format!("an output is of type {other:?}")),
        };
        let shape = value.dtype().tensor_shape().map(|shape| shape.to_vec());
        Ok(Output { shape: shape.unwrap_or_default(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_stands_behind_the_librarys_name() {
        let version = |path: &str| version_in(Path::new(path));
        assert_eq!(version("/a/libonnxruntime.so.1.32.0").as_deref(), Some("1.32.0"));
        assert_eq!(version("/a/libonnxruntime.so"), None);
    }
}
