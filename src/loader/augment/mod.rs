//! Data augmentation of training images. The exported model does not contain it.

mod affine;
mod augmix;
mod color_jitter;
mod crop;
mod elastic;
mod erasing;
mod flip;
mod mixing;
mod noise;
mod operation;
mod rand_augment;
mod resized_crop;
#[cfg(test)]
mod tests;
mod three_augment;
mod trivial;

use std::fmt;
use std::str::FromStr;

use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use crate::data::ValueRange;
use crate::data::image::Region;
use crate::error::{did_you_mean, quoted};
pub use mixing::Mixing;

/// An augmentation of images.
///
/// ```
/// use cresset::loader::augment::Augment;
/// use rand::rngs::ChaCha8Rng;
/// use rand::{RngExt, SeedableRng};
/// use tch::{Device, Kind, Tensor};
///
/// /// Scales the brightness of each image by a random factor.
/// #[derive(Debug)]
/// struct Dim;
///
/// impl Augment for Dim {
///     fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor {
///         let factors: Vec<f32> = generators.iter_mut().map(|generator| generator.random_range(0.5..1.)).collect();
///         images * Tensor::from_slice(&factors).to_device(images.device()).view([-1, 1, 1, 1])
///     }
/// }
///
/// let images = Tensor::ones([2, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let mut generators = [1, 2].map(ChaCha8Rng::seed_from_u64);
/// assert!(Dim.apply(&images, &mut generators).max().double_value(&[]) < 1.);
/// ```
pub trait Augment: fmt::Debug + Send + Sync {
    /// Augments images, float32 (N, channels, height, width) from 0 (black) to 1, with one generator per image.
    fn apply(&self, images: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor;

    /// Whether [`Augment::apply`] accepts uint8 images too, which saves the conversion to floats.
    fn takes_bytes(&self) -> bool {
        false
    }

    /// Augments one uint8 image in place, with the same random numbers as [`Augment::apply`]. Returns false if that is not
    /// supported.
    fn change_pixels(&self, _pixels: &mut Pixels, _generator: &mut ChaCha8Rng) -> bool {
        false
    }

    /// Whether it crops random regions, which the decoder can crop and resize.
    fn draws_region(&self) -> bool {
        false
    }

    /// The random region for an image of this size (width, height), if it crops one.
    fn region(&self, _size: (u32, u32), _generator: &mut ChaCha8Rng) -> Option<Region> {
        None
    }
}

/// A decoded image, (height, width, channels).
///
/// ```
/// use cresset::loader::augment::{Augmentation, Pixels};
/// use rand::SeedableRng;
/// use rand::rngs::ChaCha8Rng;
///
/// let augmentation: Augmentation = "erasing=1".parse().unwrap();
/// let mut image = Pixels { values: vec![200; 32 * 32], width: 32, channels: 1 };
/// augmentation.change(&mut image, false, ChaCha8Rng::seed_from_u64(0));
/// assert!(image.values.iter().any(|value| *value != 200));
/// ```
#[derive(Debug)]
pub struct Pixels {
    /// Values in row-major order, channels last.
    pub values: Vec<u8>,
    /// Width in pixels.
    pub width: usize,
    /// Number of channels.
    pub channels: usize,
}

/// A parameter of an augmentation.
///
/// ```
/// use cresset::loader::augment::AUGMENTATIONS;
///
/// let crop = AUGMENTATIONS.iter().find(|kind| kind.name == "mixup").unwrap();
/// let alpha = &crop.parameters[0];
/// assert_eq!((alpha.name, alpha.default, alpha.range), ("alpha", 0.2, (0.01, 10.)));
/// ```
#[derive(Debug)]
pub struct Parameter {
    /// Name, as shown in the usage.
    pub name: &'static str,
    /// Default value.
    pub default: f64,
    /// Minimum and maximum.
    pub range: (f64, f64),
}

const fn parameter(name: &'static str, default: f64, least: f64, greatest: f64) -> Parameter {
    Parameter { name, default, range: (least, greatest) }
}

/// An augmentation that can be chosen by name.
///
/// To add one, write a file beside `flip.rs` with a constant of this type, and put it in [`AUGMENTATIONS`].
///
/// ```
/// use cresset::loader::augment::{AUGMENTATIONS, BuiltAugment, Mixing};
///
/// let mixup = AUGMENTATIONS.iter().find(|kind| kind.name == "mixup").unwrap();
/// assert_eq!(mixup.usage(), "mixup=0.2 (alpha)");
/// assert!(matches!((mixup.build)(&[0.4]), BuiltAugment::Mixing(Mixing::Mixup(0.4))));
/// ```
pub struct AugmentKind {
    /// Name in `--augment`.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// Parameters after the name, as in `name=1:2`.
    pub parameters: &'static [Parameter],
    /// Builds it from one value per parameter.
    pub build: fn(&[f64]) -> BuiltAugment,
}

/// The augmentation that an [`AugmentKind`] builds.
pub enum BuiltAugment {
    /// An augmentation of single images.
    Single(Box<dyn Augment>),
    /// An augmentation that mixes the images of a batch.
    Mixing(Mixing),
}

/// All augmentations.
///
/// ```
/// use cresset::loader::augment::AUGMENTATIONS;
///
/// assert!(AUGMENTATIONS.iter().any(|augmentation| augmentation.name == "random-resized-crop"));
/// ```
pub const AUGMENTATIONS: &[AugmentKind] = &[
    flip::KIND,
    crop::KIND,
    resized_crop::KIND,
    affine::KIND,
    elastic::KIND,
    color_jitter::KIND,
    noise::KIND,
    erasing::KIND,
    trivial::KIND,
    rand_augment::KIND,
    augmix::KIND,
    three_augment::KIND,
    mixing::MIXUP,
    mixing::CUTMIX,
];

/// Presets: a name and the augmentations that it stands for.
///
/// ```
/// use cresset::loader::augment::{Augmentation, PRESETS};
///
/// for (name, augmentations) in PRESETS {
///     let preset: Augmentation = name.parse().unwrap();
///     assert_eq!(preset.is_none(), augmentations.is_empty());
/// }
/// ```
pub const PRESETS: &[(&str, &str)] = &[
    ("none", ""),
    // No flip, because a mirrored digit is not the same digit; shear imitates different handwriting.
    ("digits", "affine=10:0.1:0.1:10,elastic=0.03:0.15"),
    // Touvron et al., 2022.
    ("deit3", "random-resized-crop,flip,three-augment,color-jitter=0.3:0"),
    ("photos", "random-resized-crop,flip,trivial-augment,erasing=0.1"),
];

/// A sequence of augmentations, as given to `--augment`.
///
/// ```
/// use cresset::loader::augment::Augmentation;
/// use rand::SeedableRng;
/// use rand::rngs::ChaCha8Rng;
/// use tch::{Device, Kind, Tensor};
///
/// let augmentation: Augmentation = "flip,crop=1".parse().unwrap();
/// let images = Tensor::rand([2, 3, 8, 8], (Kind::Float, Device::Cpu));
/// let mut generators = [1, 2].map(ChaCha8Rng::seed_from_u64);
/// let augmented = augmentation.apply(&images, 1., &mut generators);
/// assert_eq!(augmented.size(), [2, 3, 8, 8]);
/// assert!("flop".parse::<Augmentation>().unwrap_err().contains("did you mean `flip`"));
/// ```
pub struct Augmentation {
    spec: String,
    steps: Vec<Box<dyn Augment>>,
    mixing: Vec<Mixing>,
}

impl FromStr for Augmentation {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        let mut augmentation = Augmentation { spec: spec.to_string(), steps: Vec::new(), mixing: Vec::new() };
        augmentation.add(spec)?;
        Ok(augmentation)
    }
}

impl Augmentation {
    fn add(&mut self, spec: &str) -> Result<(), String> {
        for item in spec.split(',').map(str::trim) {
            let (name, values) =
                item.split_once('=').map_or((item, None), |(name, values)| (name, Some(values)));
            if let (Some((_, preset)), None) = (PRESETS.iter().find(|(own, _)| *own == name), values) {
                if !preset.is_empty() {
                    self.add(preset)?;
                }
                continue;
            }
            let kind = AUGMENTATIONS.iter().find(|kind| kind.name == name).ok_or_else(|| unknown(name))?;
            match (kind.build)(&kind.values(values)?) {
                BuiltAugment::Single(step) => self.steps.push(step),
                BuiltAugment::Mixing(mixing) => self.mixing.push(mixing),
            }
        }
        Ok(())
    }

    /// Whether the sequence is empty.
    pub fn is_none(&self) -> bool {
        self.steps.is_empty() && self.mixing.is_empty()
    }

    /// Whether random regions are cropped, which needs full-size images.
    pub(crate) fn has_region(&self) -> bool {
        self.steps.iter().any(|step| step.draws_region())
    }

    /// The mixing augmentations. One of them is chosen at random for each batch.
    pub fn mixing(&self) -> &[Mixing] {
        &self.mixing
    }

    /// Augments images, uint8 or float32 (N, channels, height, width), with one generator per image. `white` is the maximum of
    /// float values. The result has the dtype of `images`.
    pub fn apply(&self, images: &Tensor, white: f64, generators: &mut [ChaCha8Rng]) -> Tensor {
        apply(&self.steps, images, white, generators)
    }

    /// Augments raw images (N, channels, height, width) with values in `range`, with one generator per image.
    pub(crate) fn apply_raw(&self, raw: &Tensor, range: ValueRange, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (black, span) = (f64::from(range.min), f64::from(range.max - range.min));
        if black == 0. {
            return self.apply(raw, span, generators);
        }
        self.apply(&(raw - black), span, generators) + black
    }

    /// The region to crop and resize, if the first step crops one.
    pub fn region(&self, size: (u32, u32), generator: &mut ChaCha8Rng) -> Option<Region> {
        self.steps.first()?.region(size, generator)
    }

    /// Augments one decoded image. Skips the first step if the decoder has cropped its region.
    pub fn change(&self, pixels: &mut Pixels, region_was_taken: bool, mut generator: ChaCha8Rng) {
        let mut steps = &self.steps[usize::from(region_was_taken)..];
        while let [step, rest @ ..] = steps
            && step.change_pixels(pixels, &mut generator)
        {
            steps = rest;
        }
        if steps.is_empty() {
            return;
        }
        let image = Tensor::from_slice(&pixels.values);
        let (width, channels) = (pixels.width as i64, pixels.channels as i64);
        let image = image.view([1, -1, width, channels]).permute([0, 3, 1, 2]);
        let changed = apply(steps, &image, 255., &mut [generator]);
        let changed = changed.permute([0, 2, 3, 1]).contiguous().view(-1);
        pixels.values = Vec::try_from(changed).expect("images are uint8");
    }
}

fn apply(steps: &[Box<dyn Augment>], images: &Tensor, white: f64, generators: &mut [ChaCha8Rng]) -> Tensor {
    let is_bytes = images.kind() == Kind::Uint8;
    let white = if is_bytes { 255. } else { white };
    let mut images = images.shallow_clone();
    let mut is_unit = false;
    for step in steps {
        let can_stay = is_bytes && step.takes_bytes();
        if !(is_unit || can_stay) {
            images = images.to_kind(Kind::Float) / white;
            is_unit = true;
        }
        images = step.apply(&images, generators);
    }
    match (is_unit, is_bytes) {
        (false, _) => images,
        (true, false) => images * white,
        (true, true) => (images * white).round().clamp(0., 255.).to_kind(Kind::Uint8),
    }
}

impl AugmentKind {
    fn values(&self, given: Option<&str>) -> Result<Vec<f64>, String> {
        let given: Vec<_> = given.map_or(Vec::new(), |given| given.split(':').collect());
        if given.len() > self.parameters.len() {
            return Err(format!("{} takes {}", self.name, self.usage()));
        }
        let value = |(index, parameter): (usize, &Parameter)| {
            let Some(text) = given.get(index) else { return Ok(parameter.default) };
            let (least, greatest) = parameter.range;
            match text.parse::<f64>() {
                Ok(value) if (least..=greatest).contains(&value) => Ok(value),
                _ => Err(format!(
                    "{} of {} must be a number from {least} to {greatest}",
                    parameter.name, self.name
                )),
            }
        };
        self.parameters.iter().enumerate().map(value).collect()
    }

    /// The syntax with default values and the names of the parameters.
    pub fn usage(&self) -> String {
        if self.parameters.is_empty() {
            return self.name.to_string();
        }
        let values: Vec<_> = self.parameters.iter().map(|p| p.default.to_string()).collect();
        let names: Vec<_> = self.parameters.iter().map(|p| p.name).collect();
        format!("{}={} ({})", self.name, values.join(":"), names.join(":"))
    }
}

fn unknown(name: &str) -> String {
    let kinds = AUGMENTATIONS.iter().map(|kind| kind.name);
    let names: Vec<_> = PRESETS.iter().map(|(name, _)| *name).chain(kinds).collect();
    let hint = did_you_mean(name, names.iter().copied()).unwrap_or_default();
    format!("unknown augmentation {}{hint} Available: {}", quoted(name), names.join(", "))
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)
    }
}

impl fmt::Debug for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Augmentation({})", self.spec)
    }
}
