//! Random changes of training pictures that leave their class as it is. They are no part of the exported model.

mod affine;
mod color_jitter;
mod crop;
mod elastic;
mod erasing;
mod flip;
mod mixing;
mod noise;
mod resized_crop;
#[cfg(test)]
mod tests;
mod trivial;

use std::fmt;
use std::str::FromStr;

use rand::rngs::ChaCha8Rng;
use tch::{Kind, Tensor};

use crate::data::ValueRange;
use crate::data::image::Region;
use crate::error::{did_you_mean, quoted};
pub use mixing::Mixing;

/// A random change of pictures.
pub trait Augment: fmt::Debug + Send + Sync {
    /// Changes pictures, float32 (N, channels, height, width) from 0 (black) to 1, by what the generator of each draws.
    fn apply(&self, pictures: &Tensor, generators: &mut [ChaCha8Rng]) -> Tensor;

    /// Whether uint8 pictures can be given too, so that they need not be turned to floats.
    fn takes_bytes(&self) -> bool {
        false
    }

    /// Changes one picture in place, uint8 of so many channels and `width`, if it can, drawing the same.
    fn change_pixels(&self, _pixels: &mut Pixels, _generator: &mut ChaCha8Rng) -> bool {
        false
    }

    /// Whether it draws regions, which can be brought to size when a picture is decoded.
    fn draws_region(&self) -> bool {
        false
    }

    /// The region of a picture of this size (width, height), if it draws one.
    fn region(&self, _size: (u32, u32), _generator: &mut ChaCha8Rng) -> Option<Region> {
        None
    }
}

/// A decoded picture.
#[derive(Debug)]
pub struct Pixels {
    /// Row after row, the channels of a pixel together.
    pub values: Vec<u8>,
    /// Pixels a row.
    pub width: usize,
    /// Values a pixel.
    pub channels: usize,
}

/// A parameter of an augmentation.
#[derive(Debug)]
pub struct Parameter {
    /// What it is.
    pub name: &'static str,
    /// Its value where none is given.
    pub default: f64,
    /// The least and the greatest value.
    pub range: (f64, f64),
}

const fn parameter(name: &'static str, default: f64, least: f64, greatest: f64) -> Parameter {
    Parameter { name, default, range: (least, greatest) }
}

/// An augmentation that can be chosen by its name.
///
/// To add one, write a file beside `flip.rs` with a constant of this type, and put it in [`AUGMENTATIONS`].
pub struct AugmentKind {
    /// Its name in `--augment`.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What may stand behind the name, as in `name=1:2`.
    pub parameters: &'static [Parameter],
    /// Makes it, with a value of each parameter.
    pub build: fn(&[f64]) -> Made,
}

/// What an [`AugmentKind`] makes.
pub enum Made {
    /// A change of single pictures.
    Single(Box<dyn Augment>),
    /// A change that mixes the pictures of a batch.
    Mixing(Mixing),
}

/// All augmentations.
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
    mixing::MIXUP,
    mixing::CUTMIX,
];

/// Names for several augmentations that go well together.
pub const PRESETS: &[(&str, &str)] = &[
    ("none", ""),
    // A digit must not be mirrored, and a slant is what one hand differs by from another.
    ("digits", "affine=10:0.1:0.1:10,elastic=0.03:0.15"),
    ("photos", "random-resized-crop,flip,trivial-augment,erasing=0.1"),
];

/// Augmentations one after the other, as `--augment` names them.
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
                Made::Single(step) => self.steps.push(step),
                Made::Mixing(mixing) => self.mixing.push(mixing),
            }
        }
        Ok(())
    }

    /// Is there nothing to do?
    pub fn is_none(&self) -> bool {
        self.steps.is_empty() && self.mixing.is_empty()
    }

    /// Whether regions of pictures are drawn, for which pictures are wanted in their full size.
    pub fn has_region(&self) -> bool {
        self.steps.iter().any(|step| step.draws_region())
    }

    /// What mixes the pictures of a batch; of several, one is drawn for each batch.
    pub fn mixing(&self) -> &[Mixing] {
        &self.mixing
    }

    /// Changes pictures, each by its generator: uint8 or float32 (N, channels, height, width), with `white` as the
    /// greatest value of a float. The result has the dtype of `pictures`.
    pub fn apply(&self, pictures: &Tensor, white: f64, generators: &mut [ChaCha8Rng]) -> Tensor {
        apply(&self.steps, pictures, white, generators)
    }

    /// Changes raw pictures (N, channels, height, width) whose values lie in `range`, each by its generator.
    pub fn apply_raw(&self, raw: &Tensor, range: ValueRange, generators: &mut [ChaCha8Rng]) -> Tensor {
        let (black, span) = (f64::from(range.min), f64::from(range.max - range.min));
        if black == 0. {
            return self.apply(raw, span, generators);
        }
        self.apply(&(raw - black), span, generators) + black
    }

    /// The region to resize, if the first step is one that draws it.
    pub fn region(&self, size: (u32, u32), generator: &mut ChaCha8Rng) -> Option<Region> {
        self.steps.first()?.region(size, generator)
    }

    /// Changes one decoded picture, without the first step if its region was taken already.
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
        let picture = Tensor::from_slice(&pixels.values);
        let (width, channels) = (pixels.width as i64, pixels.channels as i64);
        let picture = picture.view([1, -1, width, channels]).permute([0, 3, 1, 2]);
        let changed = apply(steps, &picture, 255., &mut [generator]);
        let changed = changed.permute([0, 2, 3, 1]).contiguous().view(-1);
        pixels.values = Vec::try_from(changed).expect("pictures are uint8");
    }
}

fn apply(steps: &[Box<dyn Augment>], pictures: &Tensor, white: f64, generators: &mut [ChaCha8Rng]) -> Tensor {
    let is_bytes = pictures.kind() == Kind::Uint8;
    let white = if is_bytes { 255. } else { white };
    let mut pictures = pictures.shallow_clone();
    let mut is_unit = false;
    for step in steps {
        let can_stay = is_bytes && step.takes_bytes();
        if !(is_unit || can_stay) {
            pictures = pictures.to_kind(Kind::Float) / white;
            is_unit = true;
        }
        pictures = step.apply(&pictures, generators);
    }
    match (is_unit, is_bytes) {
        (false, _) => pictures,
        (true, false) => pictures * white,
        (true, true) => (pictures * white).round().clamp(0., 255.).to_kind(Kind::Uint8),
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
                _ => {
                    Err(format!("{} of {} is a number from {least} to {greatest}", parameter.name, self.name))
                }
            }
        };
        self.parameters.iter().enumerate().map(value).collect()
    }

    /// How it is written with its default values, and what they are.
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
    format!("there is no augmentation {}{hint} There are {}", quoted(name), names.join(", "))
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
