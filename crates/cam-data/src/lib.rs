//! Files to tensors: data sets, decoding and preprocessing, with the numbers of Pillow and torchvision.
//!
//! A [`DatasetManifest`] names a folder, a layout and where labels come from; [`Dataset::load`] lists its images.
//! [`Photo::open`] decodes one, resizes and crops it; [`prefetch`] does so ahead of a consumer, on rayon's threads.

mod bounds;
mod classes;
mod collage;
mod dataset;
mod error;
pub mod imagenet;
mod layout;
mod photo;
mod prefetch;
mod variables;

pub use bounds::{Bounds, PixelBox};
pub use classes::{ClassError, class_of, is_called, read_classes};
pub use collage::{Collage, Grid};
pub use dataset::{Dataset, DatasetManifest, Item, Layout, Limits};
pub use error::DataError;
pub use layout::LeftOut;
pub use photo::{Orientation, Photo};
pub use prefetch::{FileFacts, Loaded, Prefetch, prefetch};
pub use variables::{UnsetVariable, expand_variables};
