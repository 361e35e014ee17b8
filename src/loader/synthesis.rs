//! Synthetic images from a few real ones: blends of two images of a class, then augmented.

use std::fs;
use std::path::Path;

use image::DynamicImage;
use image::codecs::png::PngEncoder;
use rand::RngExt;
use tch::Tensor;

use super::augment::Augmentation;
use crate::data::atomic;
use crate::data::random::{Purpose, stream};
use crate::data::{Dataset, thumbnail};
use crate::error::{Error, Result};

/// Options of the synthetic images.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::loader::synthesis::Synthesis;
///
/// let digits = data::load("digits", &DataOptions::default())?.select(&(0..20).collect::<Vec<_>>());
/// let synthesis = Synthesis { per_class: 3, mixed: 0.5, augmentation: "digits".parse().unwrap(), seed: 0 };
/// # let temporary = tempfile::tempdir().unwrap();
/// # let folder = temporary.path().join("synthetic");
/// assert_eq!(synthesis.write(&digits, &folder)?, 30);
/// assert!(folder.join("7/synthetic-00001.png").is_file());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Synthesis {
    /// Synthetic images per class.
    pub per_class: u32,
    /// Probability of blending two images.
    pub mixed: f64,
    /// Augmentation of each image.
    pub augmentation: Augmentation,
    /// Random seed.
    pub seed: u64,
}

impl Synthesis {
    /// Writes the real images of a data set in memory and synthetic images of each class to a new folder, with a subfolder
    /// per class: `CLASS/real-00001.png` and `CLASS/synthetic-00001.png`. Returns the number of synthetic images.
    ///
    /// # Errors
    /// Examples that are not images, classes that are not valid folder names, and a folder that is not empty.
    pub fn write(&self, dataset: &Dataset, folder: &Path) -> Result<usize> {
        dataset.require_classes("synthesis")?;
        let Some(shape) = dataset.shape.image().filter(|_| dataset.is_image_data()) else {
            return Err(Error::data(
                dataset.path.as_path(),
                "its examples are not images, so no images can be synthesized from them",
            ));
        };
        let is_taken = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if is_taken {
            let problem = format!("{} is not empty; give a new folder", folder.display());
            return Err(Error::Usage(problem));
        }
        // The reader ignores folders whose names start with a dot.
        let is_name = |class: &&String| {
            Path::new(class).file_name() == Some(class.as_ref())
                && !class.starts_with('.')
                && !class.contains('\0')
        };
        if let Some(class) = dataset.classes.iter().find(|class| !is_name(class)) {
            let problem = format!("the class {} is not a valid folder name", crate::error::quoted(class));
            return Err(Error::data(dataset.path.as_path(), problem));
        }
        let mut count = 0;
        atomic::folder(folder, |folder| {
            count = self.fill(dataset, shape, folder)?;
            Ok::<_, Error>(())
        })?;
        Ok(count)
    }

    fn fill(&self, dataset: &Dataset, shape: (i64, i64, i64), folder: &Path) -> Result<usize> {
        let mut count = 0;
        for (label, class) in dataset.classes.iter().enumerate() {
            let inside = folder.join(class);
            fs::create_dir(&inside).map_err(Error::io("create the folder", &inside))?;
            let own: Vec<usize> =
                (0..dataset.rows()).filter(|row| dataset.labels[*row] == label as i64).collect();
            for (number, row) in (1..).zip(&own) {
                save(
                    &thumbnail::values(dataset, *row),
                    shape,
                    &inside.join(format!("real-{number:05}.png")),
                )?;
            }
            for number in 1..=self.per_class {
                let values = self.image(dataset, shape, &own, label, number);
                save(&values, shape, &inside.join(format!("synthetic-{number:05}.png")))?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Values of the synthetic image `number` of a class with the real images `own`.
    fn image(
        &self,
        dataset: &Dataset,
        (channels, height, width): (i64, i64, i64),
        own: &[usize],
        label: usize,
        number: u32,
    ) -> Vec<f32> {
        let mut generator = stream(self.seed, Purpose::Synthesis, (label as u64) << 32 | u64::from(number));
        let mut drawn = || thumbnail::values(dataset, own[generator.random_range(0..own.len())]);
        let (mut values, other) = (drawn(), drawn());
        if generator.random_bool(self.mixed) {
            let share = generator.random_range(0.5f32..1.);
            values
                .iter_mut()
                .zip(other)
                .for_each(|(value, other)| *value = share * *value + (1. - share) * other);
        }
        let image = Tensor::from_slice(&values).view([1, channels, height, width]);
        let changed = self.augmentation.apply(&image, 1., &mut [generator]);
        Vec::try_from(changed.contiguous().view(-1)).expect("images are float32")
    }
}

fn save(values: &[f32], shape: (i64, i64, i64), path: &Path) -> Result<()> {
    let image = thumbnail::from_values(values, shape)
        .ok_or_else(|| Error::data(path, "an image of this size cannot be written"))?;
    let image = DynamicImage::from(image);
    let image = if shape.0 == 1 { DynamicImage::from(image.into_luma8()) } else { image };
    let fault = |e: image::ImageError| Error::io("write", path)(std::io::Error::other(e));
    let mut png = Vec::new();
    image.write_with_encoder(PngEncoder::new(&mut png)).map_err(fault)?;
    fs::write(path, png).map_err(Error::io("write", path))
}
