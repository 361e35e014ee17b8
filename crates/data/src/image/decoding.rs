//! How the images of a data set are decoded and resized.

use std::ops::RangeInclusive;

use cresset_options::choices;
use serde::{Deserialize, Serialize};

choices! {
    /// The filter that resizes images. Both are antialiased, as in Pillow.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Interpolation {
        /// triangle filter
        #[default]
        Bilinear = "bilinear",
        /// cubic convolution with a = -0.5 (Keys, 1981)
        Bicubic = "bicubic",
    }
}

/// The sides of center crops, relative to the largest one.
pub const CENTER_CROPS: RangeInclusive<f64> = 0.1..=1.;

/// How the images of a data set are decoded and resized. An exported model treats new images in the same way.
///
/// ```
/// use cresset_data::image::{Decoding, Interpolation};
///
/// let decoding: Decoding = serde_json::from_str(r#"{ "interpolation": "bicubic", "center_crop": 0.875 }"#)?;
/// assert_eq!(decoding, Decoding { depth: None, interpolation: Interpolation::Bicubic, center_crop: 0.875 });
/// assert_eq!(serde_json::to_string(&Decoding::default())?, "{}");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decoding {
    /// The number of bits in use by images with 16 bits per value, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
    /// The filter for another size.
    #[serde(skip_serializing_if = "is_default")]
    pub interpolation: Interpolation,
    /// The side of the center crop relative to the largest one, in [`CENTER_CROPS`] (`crop_pct` of timm).
    #[serde(skip_serializing_if = "is_largest")]
    pub center_crop: f64,
}

impl Default for Decoding {
    fn default() -> Self {
        Decoding { depth: None, interpolation: Interpolation::default(), center_crop: 1. }
    }
}

impl Decoding {
    /// The decoding of a model for other images: with their own depth, if the model has none.
    pub fn with_depth_of(self, images: Decoding) -> Self {
        Decoding { depth: self.depth.or(images.depth), ..self }
    }
}

fn is_default(interpolation: &Interpolation) -> bool {
    *interpolation == Interpolation::default()
}

fn is_largest(center_crop: &f64) -> bool {
    *center_crop == 1.
}
