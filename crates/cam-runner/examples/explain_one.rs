//! Explains one photograph and scores the map: `cargo run --release --example explain_one -- photo.jpg`.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, path::Path};

use cam_core::{Explained, Map, Method, Metric, Subject, Target};
use cam_data::{Orientation, Photo};
use cam_methods::ReciproCam;
use cam_metrics::{Complexity, Drop};
use cam_models::{Options, WeightsChoice, load};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("give a photograph")?;
    let model = load("tf_efficientnet_lite0", &WeightsChoice::Default, &Options::default())?;
    let cut = model.network.cut(model.backbone.layer())?;
    let photo = Photo::open(Path::new(&path), &model.preprocessing, Orientation::Ignore)?;

    let image = photo.tensor(&model.preprocessing);
    let subject = Subject::new(&cut, image, Target::Predicted, 0);
    let method = ReciproCam::default();
    let map = Map::new(&method.explain(&subject), subject.size())?;

    let explained = Explained::new(&subject, &map, Some(&method));
    println!("class {} with confidence {:.3}", subject.class(), subject.confidence());
    for metric in [&Drop::default() as &dyn Metric, &Complexity::default()] {
        let score = metric.score(&explained).ok_or("not defined for this map")?;
        println!("{} {:.3}", metric.about().title, score.value);
    }
    Ok(())
}
