//! What an exported classifier takes and gives, by its file's inputs and outputs.

use crate::{did_you_mean_aside, nearest};

/// The output of a hooked graph that holds its maps, `[N, classes, h, w]`.
pub const SALIENCY_MAP: &str = "saliency_map";

/// The most rows or columns of an image, and the most images that a file may insist on.
const MAX_SIDE: i64 = 1 << 13;
const MAX_BATCH: i64 = 64;

/// An input or output of an exported network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// `None` where it is no tensor, or of unknown rank; in it `None` for a side of any length.
    pub shape: Option<Vec<Option<i64>>>,
    /// Whether its numbers are 32-bit floats.
    pub is_float: bool,
}

/// The images that an exported network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInput {
    /// `[H, W]`, in pixels.
    pub size: [i64; 2],
    /// Whether images are `[N, H, W, 3]`, and not `[N, 3, H, W]`.
    pub is_channels_last: bool,
    /// How many images a forward has, where the file insists on a number.
    pub batch: Option<i64>,
}

impl ImageInput {
    /// Of a network's inputs; `side` is that of the images in pixels, where it is asked for.
    ///
    /// # Errors
    ///
    /// There are several inputs, or it is none of images, or one of images of another size.
    pub fn new(inputs: &[Port], side: Option<i64>) -> Result<Self, String> {
        let [Port { name, shape, is_float }] = inputs else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(format!(
                "a classifier takes one tensor, and this model takes {} ({})",
                names.len(),
                names.join(", ")
            ));
        };
        if !is_float {
            return Err(format!("its input `{name}` is not of 32-bit floats, as images are"));
        }
        let (batch, is_channels_last, own) = match shape.as_deref() {
            // Three channels come first, even where there are as few columns.
            Some(&[batch, channels @ (Some(3) | None), height, width])
                if width != Some(3) || channels == Some(3) =>
            {
                (batch, false, [height, width])
            }
            Some(&[batch, height, width, Some(3)]) => (batch, true, [height, width]),
            _ => {
                return Err(format!(
                    "its input `{name}` has the shape {}; images are [N, 3, H, W] or [N, H, W, 3]",
                    shape.as_deref().map_or_else(|| "?".to_owned(), shown)
                ));
            }
        };
        let size @ [height, width] = own.map(|own| own.or(side).unwrap_or(224));
        if height > MAX_SIDE || width > MAX_SIDE || batch.is_some_and(|batch| batch > MAX_BATCH) {
            let batch = batch.map_or(String::new(), |batch| format!("{batch} "));
            return Err(format!(
                "its input `{name}` would be {batch}images of {height} × {width} pixels; at most {MAX_BATCH} of {MAX_SIDE} × \
                 {MAX_SIDE} are taken"
            ));
        }
        match side.filter(|&side| size != [side, side]) {
            Some(side) => Err(format!(
                "it is for images of {height} × {width} pixels, and they would be {side} × {side}, as the preprocessing's \
                 `crop` or `--side` says"
            )),
            None => Ok(Self { size, is_channels_last, batch }),
        }
    }

    /// The tensor's shape for so many images.
    pub fn shape(&self, n: i64) -> [i64; 4] {
        let [height, width] = self.size;
        if self.is_channels_last { [n, height, width, 3] } else { [n, 3, height, width] }
    }
}

fn shown(shape: &[Option<i64>]) -> String {
    let side = |side: &Option<i64>| side.map_or("?".to_owned(), |side| side.to_string());
    let sides: Vec<String> = shape.iter().map(side).collect();
    format!("[{}]", sides.join(", "))
}

/// The output that logits are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogitsOutput {
    /// Its name.
    pub name: String,
    /// Its place among the outputs.
    pub place: usize,
    /// Names of the other outputs, but for a hook's.
    pub others: Vec<String>,
    /// Whether it is only the first of several, of which none was asked for or is called `logits`.
    pub is_guess: bool,
}

impl LogitsOutput {
    /// Of a network's outputs: the `wanted` one; else the one that a hook's maps are of (`hooked`), the one that is called
    /// `logits`, or the first that is no hook's.
    ///
    /// # Errors
    ///
    /// There is no such output.
    pub fn new(
        outputs: &[&str],
        wanted: Option<&str>,
        hooked: Option<&str>,
    ) -> Result<Self, String> {
        let at = |name: &str| outputs.iter().position(|output| *output == name);
        let place = match wanted {
            Some(wanted) => at(wanted).ok_or_else(|| {
                let meant = nearest(wanted, outputs.iter().copied());
                format!(
                    "there is no output `{wanted}`{}; it has {}",
                    did_you_mean_aside(meant),
                    outputs.join(", ")
                )
            })?,
            None => hooked
                .filter(|_| at(SALIENCY_MAP).is_some())
                .and_then(at)
                .or_else(|| at("logits"))
                .or_else(|| outputs.iter().position(|output| *output != SALIENCY_MAP))
                .ok_or("it has no output of logits")?,
        };
        let is_other = |(other, name): &(usize, &&str)| *other != place && **name != SALIENCY_MAP;
        let others = outputs.iter().enumerate().filter(is_other).map(|(_, name)| name);
        let others: Vec<String> = others.map(|name| (*name).to_owned()).collect();
        let name = outputs[place].to_owned();
        let is_hooked = at(SALIENCY_MAP).is_some() && hooked == Some(&*name);
        let is_told = wanted.is_some() || is_hooked || name == "logits";
        let is_guess = !is_told && !others.is_empty();
        Ok(Self { name, place, others, is_guess })
    }

    /// That this is a guess, where it is one, in a sentence.
    pub fn caution(&self) -> Option<String> {
        let Self { name, others, .. } = self;
        self.is_guess.then(|| {
            format!(
                "it has several outputs, and logits are read from the first, `{name}`; `logits` (`--logits`) takes another one ({}).",
                others.join(", ")
            )
        })
    }

    /// What an error about its shape `[N, ...]` says.
    pub fn wrong_shape(&self, shape: &[i64]) -> String {
        let others = match &self.others[..] {
            [] => String::new(),
            others => {
                format!("; `logits` (`--logits`) takes another output ({})", others.join(", "))
            }
        };
        format!(
            "its output `{}` has the shape {shape:?}; a classifier's is [images, classes], two classes or more{others}",
            self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(shape: &[Option<i64>]) -> Port {
        Port { name: "x".into(), shape: Some(shape.to_vec()), is_float: true }
    }

    fn input(shape: &[Option<i64>], side: Option<i64>) -> Result<ImageInput, String> {
        ImageInput::new(&[port(shape)], side)
    }

    #[test]
    fn the_shape_of_the_input_says_how_images_lie_in_it() {
        let first = input(&[None, Some(3), Some(240), Some(240)], None).unwrap();
        assert_eq!(first, ImageInput { size: [240, 240], is_channels_last: false, batch: None });
        let last = input(&[Some(2), Some(224), Some(200), Some(3)], None).unwrap();
        assert_eq!((last.shape(2), last.batch), ([2, 224, 200, 3], Some(2)));
        let narrow = input(&[None, Some(3), Some(8), Some(3)], None).unwrap();
        assert_eq!((narrow.size, narrow.is_channels_last), ([8, 3], false));
        let open = input(&[None, None, None, None], None).unwrap();
        assert_eq!(open.shape(1), [1, 3, 224, 224]);
        let open = input(&[None, None, None, None], Some(64)).unwrap();
        assert_eq!(open.shape(1), [1, 3, 64, 64]);
    }

    #[test]
    fn an_input_of_something_else_is_an_error_that_says_what_images_are() {
        let error = input(&[None, Some(10)], None).unwrap_err();
        assert_eq!(
            error,
            "its input `x` has the shape [?, 10]; images are [N, 3, H, W] or [N, H, W, 3]"
        );
        let error = ImageInput::new(&[port(&[None]), port(&[None])], None).unwrap_err();
        assert_eq!(error, "a classifier takes one tensor, and this model takes 2 (x, x)");
        let integers = Port { is_float: false, ..port(&[None, Some(3), None, None]) };
        let error = ImageInput::new(&[integers], None).unwrap_err();
        assert_eq!(error, "its input `x` is not of 32-bit floats, as images are");
        let error = input(&[None, Some(3), Some(240), Some(240)], Some(224)).unwrap_err();
        assert!(error.starts_with("it is for images of 240 × 240 pixels"), "{error}");
        for shape in [[Some(65), Some(3), None, None], [None, Some(3), Some(8193), Some(8)]] {
            let error = input(&shape, None).unwrap_err();
            assert!(error.starts_with("its input `x` would be "), "{error}");
            assert!(error.ends_with("at most 64 of 8192 × 8192 are taken"), "{error}");
        }
    }

    #[test]
    fn logits_are_the_output_of_that_name_or_the_first_that_is_no_hooks() {
        let of = |outputs: &[&str], wanted| LogitsOutput::new(outputs, wanted, None);
        let place = |outputs: &[&str], wanted| {
            let output = of(outputs, wanted).unwrap();
            (output.place, output.others.join(" "), output.is_guess)
        };
        assert_eq!(place(&["features", "logits"], None), (1, "features".into(), false));
        assert_eq!(place(&[SALIENCY_MAP, "main", "aux"], None), (1, "aux".into(), true));
        assert_eq!(place(&["logits", "aux"], Some("aux")), (1, "logits".into(), false));
        assert_eq!(place(&["scores", SALIENCY_MAP], None), (0, String::new(), false));
        let error = of(&["logits", "aux_logits"], Some("aux_logit")).unwrap_err();
        assert_eq!(
            error,
            "there is no output `aux_logit` (did you mean `aux_logits`?); it has logits, aux_logits"
        );
        assert!(of(&[SALIENCY_MAP], None).is_err());
        let hooked = ["main", "aux", SALIENCY_MAP];
        let hooked = LogitsOutput::new(&hooked, None, Some("aux")).unwrap();
        assert_eq!((&*hooked.name, hooked.is_guess), ("aux", false));
        // Whose maps are gone is hooked no more.
        let stale = LogitsOutput::new(&["main", "aux"], None, Some("aux")).unwrap();
        assert_eq!((&*stale.name, stale.is_guess), ("main", true));
    }
}
