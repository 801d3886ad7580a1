//! One file a family: a small spec per variant, and the plan it stands for.

pub mod efficientnet_lite;
pub mod resnet;
pub mod vgg;
