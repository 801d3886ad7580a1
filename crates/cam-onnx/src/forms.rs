//! How a tensor of a graph becomes activations `[N, K, h, w]`, and these become the tensor again.
//!
//! Convolutional networks hold them as they are. Vision transformers hold a row for every place of a grid, behind rows of
//! class and register tokens, which have no place (as in `ViT`), or channels last (as in Swin).

use tch::Tensor;

/// Where the numbers of one image lie in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `[K, h, w]`.
    Map,
    /// `[h, w, K]`.
    ChannelsLast,
    /// `[P + h·w, K]`: tokens, the first P of which have no place in the image.
    Tokens {
        /// P: class and register tokens.
        prefix: i64,
        /// Rows of the grid, h.
        height: i64,
        /// Columns of the grid, w.
        width: i64,
    },
}

/// Class, distillation and register tokens are a handful.
const MAX_PREFIX: i64 = 8;

impl Form {
    /// The form of a tensor by its shape for one image, where it has one; `grid` are rows and columns of the last map
    /// before it.
    pub(crate) fn of(shape: &[i64], grid: Option<[i64; 2]>) -> Option<Self> {
        match *shape {
            // A map has more channels than rows and columns: these come first, unless only the last axis can be theirs.
            [height, width, channels]
                if height > 1 && width > 1 && height < channels && width < channels =>
            {
                Some(Self::ChannelsLast)
            }
            [_, _, _] => Some(Self::Map),
            [tokens, channels] => Self::of_tokens(tokens, channels, grid),
            _ => None,
        }
    }

    /// Tokens fill the grid that is known, or else a square, but for a few in front.
    fn of_tokens(tokens: i64, channels: i64, grid: Option<[i64; 2]>) -> Option<Self> {
        let prefix_of = |height: i64, width: i64| {
            let prefix = tokens.checked_sub(height.checked_mul(width)?)?;
            (0..=MAX_PREFIX).contains(&prefix).then_some(Self::Tokens { prefix, height, width })
        };
        if let Some([height, width]) = grid {
            if let Some(form) = prefix_of(height, width) {
                return Some(form);
            }
            // A map whose places have become one axis, behind its channels.
            if channels == height * width {
                return None;
            }
        }
        let side = tokens.max(0).isqrt();
        (side > 1 && channels > 1).then(|| prefix_of(side, side)).flatten()
    }

    /// `[K, h, w]` of a tensor of this form, whose shape for one image is `shape`.
    pub(crate) fn map_shape(self, shape: &[i64]) -> Option<[i64; 3]> {
        match (self, shape) {
            (Self::Map, &[channels, height, width])
            | (Self::ChannelsLast, &[height, width, channels])
            | (Self::Tokens { height, width, .. }, &[_, channels]) => {
                Some([channels, height, width])
            }
            _ => None,
        }
    }

    /// How many tokens stand beside the activations.
    pub(crate) fn prefix(self) -> i64 {
        if let Self::Tokens { prefix, .. } = self { prefix } else { 0 }
    }

    /// A tensor of this form as activations `[N, K, h, w]`, with the tokens beside them `[N, P, K]`.
    pub(crate) fn to_map(self, tensor: &Tensor) -> (Tensor, Option<Tensor>) {
        match self {
            Self::Map => (tensor.shallow_clone(), None),
            Self::ChannelsLast => (tensor.permute([0, 3, 1, 2]), None),
            Self::Tokens { prefix, height, width } => {
                let size = tensor.size();
                let places = tensor.narrow(1, prefix, height * width);
                let map = places.transpose(1, 2).reshape([size[0], size[2], height, width]);
                (map, (prefix > 0).then(|| tensor.narrow(1, 0, prefix)))
            }
        }
    }

    /// The opposite of [`Form::to_map`]; the tokens of one image may serve for all.
    ///
    /// Panics where tokens are needed and not given: a method that changes activations keeps the image's tokens by
    /// [`cam_core::Subject::head`].
    pub(crate) fn to_tensor(self, map: &Tensor, tokens: Option<&Tensor>) -> Tensor {
        match self {
            Self::Map => map.shallow_clone(),
            Self::ChannelsLast => map.permute([0, 2, 3, 1]),
            Self::Tokens { prefix, .. } => {
                let places = map.flatten(2, 3).transpose(1, 2);
                if prefix == 0 {
                    return places;
                }
                let tokens = tokens.expect("the head of this network needs an image's tokens");
                let size = map.size();
                Tensor::cat(&[tokens.expand([size[0], prefix, size[1]], false), places], 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn tokens_fill_the_known_grid_or_a_square_but_for_a_few_in_front() {
        let tokens = |prefix, height, width| Some(Form::Tokens { prefix, height, width });
        assert_eq!(Form::of(&[197, 768], None), tokens(1, 14, 14));
        assert_eq!(Form::of(&[198, 384], Some([14, 14])), tokens(2, 14, 14));
        assert_eq!(Form::of(&[13, 64], Some([4, 3])), tokens(1, 4, 3));
        // Attention that pools leaves another grid than the patches' was.
        assert_eq!(Form::of(&[16, 256], Some([14, 14])), tokens(0, 4, 4));
        // The patches' map with one axis for all places, and what is too far from a square.
        assert_eq!(Form::of(&[144, 196], Some([14, 14])), None);
        assert_eq!(Form::of(&[512, 30], None), None);
        assert_eq!(Form::of(&[1024, 1], None), None);
        assert_eq!(Form::of(&[-1, 4], None), None);
    }

    #[test]
    fn channels_are_last_where_only_the_last_axis_can_be_theirs() {
        assert_eq!(Form::of(&[7, 7, 768], None), Some(Form::ChannelsLast));
        assert_eq!(Form::of(&[768, 7, 7], None), Some(Form::Map));
        assert_eq!(Form::of(&[3, 224, 224], None), Some(Form::Map));
        assert_eq!(Form::of(&[768], None), None);
        assert_eq!(Form::of(&[1, 12, 49, 49], None), None);
    }

    #[test]
    fn a_tensor_survives_the_way_to_a_map_and_back() {
        let numbers = |size: &[i64]| {
            Tensor::arange(size.iter().product::<i64>(), (Kind::Float, tch::Device::Cpu))
                .reshape(size)
        };
        for (size, form) in [
            (vec![2, 14, 5], Form::Tokens { prefix: 2, height: 4, width: 3 }),
            (vec![2, 12, 5], Form::Tokens { prefix: 0, height: 4, width: 3 }),
            (vec![2, 4, 3, 5], Form::ChannelsLast),
            (vec![2, 5, 4, 3], Form::Map),
        ] {
            let tensor = numbers(&size);
            let (map, tokens) = form.to_map(&tensor);
            assert_eq!(map.size(), [2, 5, 4, 3]);
            assert_eq!(form.to_tensor(&map, tokens.as_ref()), tensor, "{form:?}");
        }
        // Row 1, column 2 of the first image is its token 2 + 1·3 + 2, and channels are what a token holds.
        let form = Form::Tokens { prefix: 2, height: 4, width: 3 };
        let (map, tokens) = form.to_map(&numbers(&[2, 14, 5]));
        assert_eq!(map.double_value(&[0, 4, 1, 2]) as i64, 7 * 5 + 4);
        assert_eq!(tokens.map(|tokens| tokens.double_value(&[1, 1, 0]) as i64), Some(14 * 5 + 5));
    }
}
