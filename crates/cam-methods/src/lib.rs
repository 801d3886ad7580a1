//! Explanation methods: one image and one class in, a raw map out. One file per method.
//!
//! A method is its struct: the fields are the options of a sweep, the `Default` is the definition that cambench stands
//! for, and the module's doc is citation, formula, and what is ours. To add one, write the file, then add its `mod`
//! line and its line in the list below; the laws in `tests/laws.rs`, the configuration and `cambench list` pick it up.

mod ablation_cam;
mod all_ones;
mod cam;
mod center_gaussian;
mod eigen_cam;
mod eigen_grad_cam;
mod extremal_perturbation;
mod full_grad;
mod grad_cam;
mod grad_cam_elementwise;
mod grad_cam_pp;
mod hi_res_cam;
mod hooked;
mod input_x_gradient;
mod integrated_gradients;
mod is_cam;
mod kernel_shap;
mod layer_cam;
mod lime;
mod occlusion;
mod ops;
mod partition_shap;
mod random;
mod randomized;
mod recipro_cam;
mod refine_cam;
mod rise;
mod saliency;
mod score_cam;
mod smooth_grad;
mod smooth_grad_cam_pp;
mod sobel;
mod ss_cam;
mod superpixels;
mod vit_recipro_cam;
mod x_grad_cam;

pub use ablation_cam::{AblationCam, Denominator};
pub use all_ones::AllOnes;
pub use cam::Cam;
pub use cam_core::{Method, Output};
pub use center_gaussian::CenterGaussian;
pub use eigen_cam::EigenCam;
pub use eigen_grad_cam::EigenGradCam;
pub use extremal_perturbation::{ExtremalPerturbation, Reward, Variant};
pub use full_grad::{FullGrad, Rescale};
pub use grad_cam::GradCam;
pub use grad_cam_elementwise::GradCamElementwise;
pub use grad_cam_pp::{GradCamPp, PpWeights};
pub use hi_res_cam::HiResCam;
pub use hooked::Hooked;
pub use input_x_gradient::InputXGradient;
pub use integrated_gradients::{IntegratedGradients, Rule};
pub use is_cam::IsCam;
pub use kernel_shap::KernelShap;
pub use layer_cam::LayerCam;
pub use lime::Lime;
pub use occlusion::Occlusion;
pub use ops::Colors;
pub use partition_shap::PartitionShap;
pub use random::Random;
pub use randomized::Randomized;
pub use recipro_cam::ReciproCam;
pub use refine_cam::{LayerMaps, RefineCam};
pub use rise::{Rise, Sampling as RiseSampling};
pub use saliency::Saliency;
pub use score_cam::{ChannelMasks, Channels, ScoreCam, Weighting};
pub use smooth_grad::SmoothGrad;
pub use smooth_grad_cam_pp::{SmoothGradCamPp, SmoothWeights};
pub use sobel::Sobel;
pub use ss_cam::SsCam;
pub use superpixels::Hide;
pub use vit_recipro_cam::VitReciproCam;
pub use x_grad_cam::XGradCam;

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
        "vit_recipro_cam" => VitReciproCam(VitReciproCam),
        "hooked" => Hooked(Hooked),
        "layer_cam" => LayerCam(LayerCam),
        "x_grad_cam" => XGradCam(XGradCam),
        "hi_res_cam" => HiResCam(HiResCam),
        "grad_cam_elementwise" => GradCamElementwise(GradCamElementwise),
        "eigen_cam" => EigenCam(EigenCam),
        "eigen_grad_cam" => EigenGradCam(EigenGradCam),
        "ablation_cam" => AblationCam(AblationCam),
        "refine_cam" => RefineCam(RefineCam),
        "full_grad" => FullGrad(FullGrad),
        "ss_cam" => SsCam(SsCam),
        "is_cam" => IsCam(IsCam),
        "occlusion" => Occlusion(Occlusion),
        "saliency" => Saliency(Saliency),
        "input_x_gradient" => InputXGradient(InputXGradient),
        "integrated_gradients" => IntegratedGradients(IntegratedGradients),
        "smooth_grad" => SmoothGrad(SmoothGrad),
        "lime" => Lime(Lime),
        "kernel_shap" => KernelShap(KernelShap),
        "partition_shap" => PartitionShap(PartitionShap),
        "extremal_perturbation" => ExtremalPerturbation(ExtremalPerturbation),
        "random" => Random(Random),
        "center_gaussian" => CenterGaussian(CenterGaussian),
        "sobel" => Sobel(Sobel),
        "all_ones" => AllOnes(AllOnes),
    }
}
