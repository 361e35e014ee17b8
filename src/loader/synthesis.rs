//! Synthetic pictures from a few real ones: two of a class laid over each other in part, then changed at random.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use rand::RngExt;
use tch::Tensor;

use super::augment::Augmentation;
use crate::data::atomic;
use crate::data::random::{Purpose, stream};
use crate::data::{Dataset, thumbnail};
use crate::error::{Error, Result};

/// What is made.
#[derive(Debug)]
pub struct Synthesis {
    /// Synthetic pictures a class.
    pub per_class: u32,
    /// How often a picture is mixed of two.
    pub mixed: f64,
    /// How each picture is changed.
    pub augmentation: Augmentation,
    /// Seed of all that is drawn.
    pub seed: u64,
}

impl Synthesis {
    /// Writes the real pictures of a data set in memory, and synthetic ones of each class beside them, as a folder with a
    /// folder a class: `CLASS/real-00001.png` and `CLASS/synthetic-00001.png`. Gives the number of synthetic ones.
    ///
    /// # Errors
    /// Examples that are no pictures, classes that cannot be names of folders, and a folder that exists and is not empty.
    pub fn write(&self, dataset: &Dataset, folder: &Path) -> Result<usize> {
        let Some(shape) = dataset.shape.image().filter(|_| dataset.has_pictures()) else {
            return Err(Error::data(
                dataset.path.as_path(),
                "its examples are no pictures, so none can be made of them",
            ));
        };
        let is_taken = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if is_taken {
            let problem = format!("{} exists and is not empty; name a new folder", folder.display());
            return Err(Error::Usage(problem));
        }
        // A folder that begins with a dot is not read.
        let is_name = |class: &&String| {
            Path::new(class).file_name() == Some(class.as_ref())
                && !class.starts_with('.')
                && !class.contains('\0')
        };
        if let Some(class) = dataset.classes.iter().find(|class| !is_name(class)) {
            let problem = format!("the class {} cannot be the name of a folder", crate::error::quoted(class));
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
                let values = self.picture(dataset, shape, &own, label, number);
                save(&values, shape, &inside.join(format!("synthetic-{number:05}.png")))?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Values of synthetic picture `number` of a class whose real pictures are `own`.
    fn picture(
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
        let picture = Tensor::from_slice(&values).view([1, channels, height, width]);
        let changed = self.augmentation.apply(&picture, 1., &mut [generator]);
        Vec::try_from(changed.contiguous().view(-1)).expect("pictures are float32")
    }
}

fn save(values: &[f32], shape: (i64, i64, i64), path: &Path) -> Result<()> {
    let picture = thumbnail::from_values(values, shape)
        .ok_or_else(|| Error::data(path, "a picture of this size cannot be written"))?;
    let picture = DynamicImage::from(picture);
    let picture = if shape.0 == 1 { DynamicImage::from(picture.into_luma8()) } else { picture };
    let fault = |e: image::ImageError| Error::io("write", path)(std::io::Error::other(e));
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).map_err(fault)?;
    fs::write(path, png.into_inner()).map_err(Error::io("write", path))
}
