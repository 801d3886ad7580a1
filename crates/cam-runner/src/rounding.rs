//! What a short number format costs, measured on the first of a run's images.

use cam_core::{Classifier, Preprocessing, Subject, Target};
use cam_data::{Dataset, prefetch};
use cam_results::Rounding;
use tch::Device;

/// Enough to show a network that the format breaks, and next to nothing beside a run.
const N_IMAGES: usize = 8;

/// Compares a network with the same one in single precision. Images that cannot be read are left out.
pub(crate) fn rounding(
    short: &dyn Classifier,
    exact: &dyn Classifier,
    dataset: &Dataset,
    preprocessing: &Preprocessing,
    device: Device,
) -> Rounding {
    let items = dataset.items.iter().take(N_IMAGES).cloned().collect();
    let mut rounding = Rounding { n_images: 0, n_same_class: 0, max_confidence_difference: 0.0 };
    for (_, photo) in prefetch(items, preprocessing, dataset.exif) {
        let Ok(photo) = photo else { continue };
        let image = photo.photo.tensor(preprocessing).to_device(device);
        let exact = Subject::new(exact, image.shallow_clone(), Target::Predicted, 0);
        let short = Subject::new(short, image, Target::Predicted, 0);
        // Both are asked about the class that the exact one predicts.
        let difference =
            (exact.probability(short.logits()).double_value(&[0]) - exact.confidence()).abs();
        rounding.n_images += 1;
        rounding.n_same_class += usize::from(short.class() == exact.class());
        rounding.max_confidence_difference = rounding.max_confidence_difference.max(difference);
    }
    rounding
}
