//! Which device computes, and CUDA found at run time.

use std::env;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use cam_core::USUAL_MEMORY;
use tch::Device;

/// Where to compute, as asked for: `auto`, `cpu`, `cuda` or `cuda:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device where there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A CUDA device by its number.
    Cuda(usize),
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// CUDA was asked for and libtorch's part for it is not installed, or not whole.
    #[error(
        "no CUDA: libtorch's part for it cannot be loaded ({reason}); run `cargo xtask setup --cuda`, \
         or use `--device cpu`"
    )]
    NoLibrary {
        /// What the loader says.
        reason: String,
    },
    /// CUDA was asked for and the library sees no device.
    #[error(
        "no CUDA device: the NVIDIA driver is missing or shows none (does `nvidia-smi` list one?); \
         install the driver, or use `--device cpu`"
    )]
    NoDevice,
    /// A device's number is too large.
    #[error("no device cuda:{asked}: there are {present}, counted from 0")]
    NoSuchDevice {
        /// As asked for.
        asked: usize,
        /// How many there are.
        present: usize,
    },
    /// Not a device's name.
    #[error("unknown device `{0}`: use auto, cpu, cuda or cuda:N")]
    Unknown(String),
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                number.parse().map(Self::Cuda).map_err(|_not_a_number| unknown())
            }
        }
    }
}

/// The device for a choice. Call it before the first tensor and the first thread: CUDA's part of libtorch is loaded here.
///
/// Single precision is single precision on CUDA too: TF32, which multiplies with ten bits, is switched off unless it is
/// asked for. The first call decides for the whole process, as CUDA's libraries read the switch when they are loaded.
///
/// # Errors
///
/// CUDA is asked for by name and is not there.
pub fn device(choice: DeviceChoice, multiply: Multiply) -> Result<Device, DeviceError> {
    if choice == DeviceChoice::Cpu {
        return Ok(Device::Cpu);
    }
    let loaded = load_cuda(multiply);
    let present = if tch::Cuda::is_available() { tch::Cuda::device_count() as usize } else { 0 };
    match choice {
        DeviceChoice::Cuda(_) if present == 0 => Err(match loaded {
            Ok(()) => DeviceError::NoDevice,
            Err(reason) => DeviceError::NoLibrary { reason: reason.clone() },
        }),
        DeviceChoice::Cuda(asked) if asked >= present => {
            Err(DeviceError::NoSuchDevice { asked, present })
        }
        DeviceChoice::Cuda(number) => Ok(Device::Cuda(number)),
        DeviceChoice::Auto if present > 0 => Ok(Device::Cuda(0)),
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Cpu),
    }
}

/// How single precision is multiplied on CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiply {
    /// With all of its 23 bits.
    Exactly,
    /// With ten bits, on tensor cores.
    InTf32,
}

/// How much memory a batch may take where nobody says, in bytes: more on a card, which is only fast with large ones.
pub fn default_memory(device: Device) -> u64 {
    if device.is_cuda() { 8 << 30 } else { USUAL_MEMORY }
}

/// How many threads the calling thread's tensor operators use; other threads keep their own number.
///
/// libtorch keeps the number per thread, so each thread that computes calls this itself.
pub fn set_threads(n_threads: usize) {
    tch::set_num_threads(n_threads.max(1) as i32);
}

/// Loads libtorch's CUDA part, or says why not; tried once.
fn load_cuda(multiply: Multiply) -> &'static Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(|| {
        set_tf32(multiply);
        let mut reasons = Vec::new();
        for path in cuda_libraries(libtorch_folder().as_deref()) {
            match open_globally(&path) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    })
}

/// CUDA's libraries and libtorch read these switches when they are loaded; tch has no others.
#[expect(unsafe_code, reason = "setting an environment variable has no safe form")]
fn set_tf32(multiply: Multiply) {
    let (switch, value) = match multiply {
        Multiply::Exactly => ("NVIDIA_TF32_OVERRIDE", "0"),
        // Convolutions use TF32 unless they are forbidden to; matrix products have to be allowed.
        Multiply::InTf32 => ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1"),
    };
    // SAFETY: Rust's own readers are locked out, and no thread of libtorch runs before the first tensor.
    unsafe { env::set_var(switch, value) };
}

/// Where the CUDA part may lie: as `cargo xtask setup --cuda` lays it down, beside libtorch, or where the loader looks.
fn cuda_libraries(folder: Option<&Path>) -> Vec<PathBuf> {
    const NAME: &str = "libtorch_cuda.so";
    let beside = folder.into_iter().flat_map(|folder| {
        [folder.join("../cuda/lib").join(NAME), folder.join(NAME)]
            .into_iter()
            .filter(|path| path.exists())
    });
    beside.chain([PathBuf::from(NAME)]).collect()
}

/// The folder from which libtorch was loaded into this process.
fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    Path::new(&line[line.find('/')?..]).parent().map(Path::to_owned)
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "loading a library at run time has no safe form")]
fn open_globally(path: &Path) -> Result<(), String> {
    use std::ffi::{CStr, CString};
    use std::os::unix::ffi::OsStrExt;

    let path = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the path is a terminated string. The library's initializers register CUDA's kernels in libtorch, which is
    // loaded already; nothing of ours refers to the handle, and the library stays loaded for good.
    if !unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) }.is_null() {
        return Ok(());
    }
    // SAFETY: after a failure this is a terminated string of the loader's, this thread's until its next such call.
    Err(unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy().into_owned())
}

#[cfg(not(target_os = "linux"))]
fn open_globally(_path: &Path) -> Result<(), String> {
    Err("CUDA is looked for on Linux only".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_users_write_them() {
        assert_eq!("auto".parse::<DeviceChoice>().unwrap(), DeviceChoice::Auto);
        assert_eq!("cuda:3".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(3));
        for wrong in ["gpu", "cuda:", "cuda:x", "CPU"] {
            let error = wrong.parse::<DeviceChoice>().unwrap_err();
            assert!(error.to_string().contains("auto, cpu, cuda or cuda:N"), "{error}");
        }
    }

    #[test]
    fn auto_always_finds_a_device_and_cuda_is_there_or_explained() {
        let auto = device(DeviceChoice::Auto, Multiply::Exactly).unwrap();
        assert_eq!(env::var("NVIDIA_TF32_OVERRIDE").as_deref(), Ok("0"), "TF32 is left on");
        match device(DeviceChoice::Cuda(0), Multiply::Exactly) {
            Ok(cuda) => assert_eq!(auto, cuda),
            Err(error) => {
                assert_eq!(auto, Device::Cpu);
                assert!(error.to_string().contains("--device cpu"), "{error}");
            }
        }
    }

    #[test]
    fn a_library_that_cannot_be_loaded_is_named_with_the_loaders_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libtorch_cuda.so");
        let name = path.to_str().unwrap();
        assert_eq!(cuda_libraries(Some(folder.path())), [Path::new("libtorch_cuda.so")]);
        std::fs::write(&path, "cut off").unwrap();
        assert_eq!(cuda_libraries(Some(folder.path()))[0], path);
        let reason = open_globally(&path).unwrap_err();
        assert!(reason.contains(name), "{reason}");
        let error = DeviceError::NoLibrary { reason }.to_string();
        assert!(error.contains(name) && error.contains("cargo xtask setup --cuda"), "{error}");
    }

    #[test]
    fn the_folder_of_the_loaded_libtorch_is_found() {
        let _ = tch::Tensor::zeros([1], (tch::Kind::Float, Device::Cpu));
        let folder = libtorch_folder().expect("libtorch is linked");
        assert!(folder.join("libtorch_cpu.so").exists());
    }

    #[test]
    fn the_thread_setting_belongs_to_the_thread() {
        std::thread::spawn(|| {
            set_threads(1);
            assert_eq!(tch::get_num_threads(), 1);
            set_threads(2);
            assert_eq!(tch::get_num_threads(), 2);
        })
        .join()
        .unwrap();
    }
}
