//! Explanation methods: one image and one class in, a raw map out. One file a method.
//!
//! A method is its struct: the fields are the options of a sweep, the `Default` is the definition that cambench stands
//! for, and the module's doc is citation, formula, and what is ours. To add one, write the file, then add its `mod`
//! line and its line in the list below; the laws in `tests/laws.rs`, the configuration and `cambench list` pick it up.

mod cam;
mod grad_cam;
mod grad_cam_pp;
mod ops;
mod recipro_cam;
mod rise;
mod score_cam;
mod smooth_grad_cam_pp;

pub use cam::Cam;
pub use cam_core::Method;
pub use grad_cam::GradCam;
pub use grad_cam_pp::GradCamPp;
pub use ops::Output;
pub use recipro_cam::ReciproCam;
pub use rise::{Rise, Sampling as RiseSampling};
pub use score_cam::{ScoreCam, Weighting};
pub use smooth_grad_cam_pp::SmoothGradCamPp;

cam_core::registry! {
    /// Every explanation method.
    pub enum AnyMethod: Method {
        "cam" => Cam(Cam),
        "grad_cam" => GradCam(GradCam),
        "grad_cam_pp" => GradCamPp(GradCamPp),
        "smooth_grad_cam_pp" => SmoothGradCamPp(SmoothGradCamPp),
        "score_cam" => ScoreCam(ScoreCam),
        "rise" => Rise(Rise),
        "recipro_cam" => ReciproCam(ReciproCam),
    }
}
