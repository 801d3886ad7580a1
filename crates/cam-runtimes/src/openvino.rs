//! OpenVINO, by the crate `openvino`.

use std::path::Path;

use cam_core::Port;
use openvino::{
    CompiledModel, Core, DeviceType, ElementType, InferRequest, Model, Node, PartialShape,
    RwPropertyKey, Shape, Tensor,
};

use crate::{
    Options, Problem, Runtime, RuntimeError,
    deployed::{Batches, Output, Runner},
    library,
};

/// A network compiled by OpenVINO, once for whole batches and once for single images: it wants to know their number.
pub(crate) struct OpenVino {
    core: Core,
    model: Model,
    compiled: Vec<(i64, CompiledModel, InferRequest)>,
    version: String,
}

impl OpenVino {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, RuntimeError> {
        let unloadable = |message| Runtime::OpenVino.unloadable(message);
        openvino_sys::library::load_from(library::find(Runtime::OpenVino)?).map_err(unloadable)?;
        let mut core = Core::new().map_err(|error| unloadable(error.to_string()))?;
        let precision = if options.is_bf16 { "bf16" } else { "f32" };
        let threads = options.threads.to_string();
        // Without the second, whatever the processor is fastest with.
        let properties = [
            (RwPropertyKey::InferenceNumThreads, threads.as_str()),
            (RwPropertyKey::HintInferencePrecision, precision),
        ];
        core.set_properties(&DeviceType::CPU, properties)
            .map_err(|error| unloadable(error.to_string()))?;
        let refused = |message: String| {
            let problem = Problem::Refused { runtime: Runtime::OpenVino, message };
            RuntimeError::Network { path: path.to_path_buf(), problem }
        };
        let text = path.to_str().ok_or_else(|| refused("its path is no text".into()))?;
        // No second path: weights lie beside an IR, and in an ONNX file.
        let weights = path.with_extension("bin");
        let weights = weights.to_str().filter(|_| path.extension().is_some_and(|end| end == "xml"));
        let model = core
            .read_model_from_file(text, weights.unwrap_or_default())
            .map_err(|error| refused(error.to_string()))?;
        let version = openvino::version().build_number;
        let version = version.split('-').next().unwrap_or(&version).to_owned();
        Ok(Self { core, model, compiled: vec![], version })
    }
}

/// What a port takes or gives.
fn port(node: &Node) -> Result<Port, String> {
    let text = |error: openvino::InferenceError| error.to_string();
    let shape = node.get_partial_shape().map_err(text)?;
    let is_known = !shape.get_rank().is_dynamic();
    let side = |side: &openvino::Dimension| {
        let length = side.get_min();
        (!side.is_dynamic() && length > 0).then_some(length)
    };
    let is_float = node.get_element_type().map_err(text)? == ElementType::F32;
    Ok(Port {
        name: node.get_name().map_err(text)?,
        shape: is_known.then(|| shape.get_dimensions().iter().map(side).collect()),
        is_float,
    })
}

impl Runner for OpenVino {
    fn version(&self) -> &str {
        &self.version
    }

    fn inputs(&self) -> Result<Vec<Port>, String> {
        let text = |error: openvino::InferenceError| error.to_string();
        let n = self.model.get_inputs_len().map_err(text)?;
        (0..n).map(|i| port(&self.model.get_input_by_index(i).map_err(text)?)).collect()
    }

    fn outputs(&self) -> Result<Vec<Port>, String> {
        let text = |error: openvino::InferenceError| error.to_string();
        let n = self.model.get_outputs_len().map_err(text)?;
        (0..n).map(|i| port(&self.model.get_output_by_index(i).map_err(text)?)).collect()
    }

    fn prepare(&mut self, batches: &Batches) -> Result<(), String> {
        let text = |error: openvino::InferenceError| error.to_string();
        for batch in batches.sizes() {
            let shape = PartialShape::new_static(4, &batches.images.shape(batch)).map_err(text)?;
            self.model.reshape_single_input(&shape).map_err(text)?;
            let mut compiled =
                self.core.compile_model(&self.model, DeviceType::CPU).map_err(text)?;
            let request = compiled.create_infer_request().map_err(text)?;
            self.compiled.push((batch, compiled, request));
        }
        Ok(())
    }

    fn run(&mut self, shape: &[i64], values: &[f32], output: usize) -> Result<Output, String> {
        let text = |error: openvino::InferenceError| error.to_string();
        let (.., request) = self
            .compiled
            .iter_mut()
            .find(|(batch, ..)| *batch == shape[0])
            .ok_or("no network was compiled for as many images")?;
        let wanted = Shape::new(shape).map_err(text)?;
        let mut images = Tensor::new(ElementType::F32, &wanted).map_err(text)?;
        images.get_data_mut::<f32>().map_err(text)?.copy_from_slice(values);
        request.set_input_tensor(&images).map_err(text)?;
        request.infer().map_err(text)?;
        let tensor = request.get_output_tensor_by_index(output).map_err(text)?;
        let shape = tensor.get_shape().map_err(text)?.get_dimensions().to_vec();
        if tensor.get_size().map_err(text)? == 0 {
            return Ok(Output { shape, values: vec![] });
        }
        let values = match tensor.get_element_type().map_err(text)? {
            ElementType::F32 => tensor.get_data::<f32>().map_err(text)?.to_vec(),
            ElementType::U8 => {
                tensor.get_data::<u8>().map_err(text)?.iter().copied().map(f32::from).collect()
            }
            other => return Err(format!("an output is of type {other:?}")),
        };
        Ok(Output { shape, values })
    }
}
