//! Deployed classifiers, measured where they run: in ONNX Runtime and OpenVINO.
//!
//! A runtime takes images and gives logits, and no more: no activations, no gradients. So a [`Deployed`] network is a
//! [`cam_core::Classifier`] that is cut at its input. Methods that ask for answers alone explain it, and so does the hook in
//! its graph, if there is one (`cambench hook`). Neither library is linked: they are looked for when a network is opened
//! (`library.rs`), and each is one file here that opens a network and runs images through it.

mod deployed;
mod error;
mod library;
mod onnxruntime;
mod openvino;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use cam_core::INPUT;
pub use deployed::{Deployed, Options};
pub use error::{Problem, RuntimeError};

/// What runs a deployed network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// ONNX Runtime, on the CPU.
    OnnxRuntime,
    /// OpenVINO, on the CPU.
    OpenVino,
}

impl Runtime {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "ONNX Runtime",
            Self::OpenVino => "OpenVINO",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnnxRuntime => "onnxruntime",
            Self::OpenVino => "openvino",
        })
    }
}

impl FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::OnnxRuntime, Self::OpenVino]
            .into_iter()
            .find(|runtime| runtime.to_string() == text)
            .ok_or_else(|| "there are `onnxruntime` and `openvino`".to_owned())
    }
}
