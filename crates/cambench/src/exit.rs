//! The documented exit codes.

use cam_results::gate::NotComparable;
use cam_runner::{ConfigError, PlanError, RunError, VerifyError};

/// How `cambench` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    /// Something that is not the user's to mend.
    Bug = 1,
    /// A value of the command line cannot be meant.
    Usage = 2,
    /// The sweep file, data or a model cannot be used.
    Config = 3,
    /// More failed rows than `--max-failed` allows.
    Failed = 4,
    /// Rows are missing.
    Incomplete = 5,
    /// Two runs are not about the same thing.
    NotComparable = 6,
    /// A run is not what computing it again gives.
    Verification = 7,
    /// Explanations got worse.
    Regression = 10,
    /// A method has more degenerate maps than before.
    Degenerate = 11,
    /// Stopped by Ctrl-C; the same command continues.
    Interrupted = 130,
    /// Whoever read the output has closed it; as by SIGPIPE, so that nobody takes it for success.
    BrokenPipe = 141,
}

impl Exit {
    /// The code of an error that ends the program.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<Usage>() {
            return Self::Usage;
        }
        match error.downcast_ref() {
            Some(NotComparable::Differ { .. }) => return Self::NotComparable,
            Some(
                NotComparable::NoSuchMetric { .. }
                | NotComparable::NoSuchModel { .. }
                | NotComparable::OneForTwo { .. }
                | NotComparable::Mixed { .. },
            ) => {
                return Self::Usage;
            }
            None => {}
        }
        if let Some(cam_results::Error::Incomplete { .. }) = error.downcast_ref() {
            return Self::Incomplete;
        }
        if is_of_a_broken_device(error) {
            return Self::Incomplete;
        }
        let is_users = error.chain().any(|cause| {
            cause.is::<ConfigError>()
                || cause.is::<PlanError>()
                || cause.is::<RunError>()
                || cause.is::<VerifyError>()
                || cause.is::<cam_results::Error>()
                || cause.is::<cam_data::DataError>()
                || cause.is::<cam_models::ModelError>()
                || cause.is::<cam_models::DeviceError>()
                || cause.is::<cam_models::UnknownLayer>()
                || cause.is::<cam_runner::LayerError>()
                || cause.is::<std::io::Error>()
                || cause.is::<Unusable>()
        });
        if is_users { Self::Config } else { Self::Bug }
    }
}

/// Whether a device broke down: nothing more can be computed in this process, and in another one it may.
pub(crate) fn is_of_a_broken_device(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(PlanError::is_broken_device)
            || cause.downcast_ref().is_some_and(RunError::is_broken_device)
            || cause.downcast_ref().is_some_and(VerifyError::is_broken_device)
    })
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A value of the command line that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A method, model or layer that does not exist, or does not go with the others.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) String);

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_broken_device_leaves_every_command_incomplete() {
        let broke = || PlanError::DeviceBroke { what: "CUDA error: launch failure".into() };
        let errors = [
            anyhow::Error::from(broke()),
            RunError::from(broke()).into(),
            VerifyError::from(broke()).into(),
        ];
        for error in errors {
            assert_eq!(Exit::of(&error), Exit::Incomplete, "{error}");
            let within = Err::<(), _>(error).context("somewhere").unwrap_err();
            assert_eq!(Exit::of(&within), Exit::Incomplete);
        }
        // A panic outside of a row, as in `explain`.
        let panic = std::panic::catch_unwind(|| panic!("CUDA error: an illegal memory access"));
        assert_eq!(crate::of_panic(&*panic.unwrap_err()), Exit::Incomplete);
        let panic = std::panic::catch_unwind(|| panic!("index out of bounds"));
        assert_eq!(crate::of_panic(&*panic.unwrap_err()), Exit::Bug);
        let other = PlanError::NoRows { sweep: "sweep.yaml".into() };
        assert_eq!(Exit::of(&RunError::from(other).into()), Exit::Config);
    }
}
