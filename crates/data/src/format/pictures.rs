//! What the formats that hold encoded pictures have in common.

use std::path::Path;

use crate::error::{Error, Result};
use crate::image::{Channels, Header, ImageSource, most_of};
use crate::options::ImageSize;
use crate::{DataOptions, Dataset, InputShape, Inputs, LabelsBuilder, Names, Portion, ValueRange, sha256};

/// Pictures with their labels, not yet decoded. Every list has an entry for each picture.
#[derive(Debug, Default)]
pub struct Pictures {
    /// Where they are.
    pub sources: Vec<ImageSource>,
    /// What they are called below the data set's path.
    pub names: Vec<String>,
    /// Their labels as text.
    pub labels: Vec<String>,
    /// The size of each encoded picture in bytes.
    pub sizes: Vec<u64>,
    /// Their portions, where the format tells them.
    pub portions: Option<Vec<Portion>>,
    /// Their groups, where the format tells them.
    pub groups: Option<Vec<String>>,
}

/// The pictures whose headers are read to find out what all are like.
const PROBED: usize = 512;

/// The pixels that are decoded at most to find out how many bits are used of 16: those of a few seconds.
const PROBED_PIXELS: u64 = 1 << 27;

/// The longest side up to which pictures that all have one size keep it.
const LONGEST_KEPT: u32 = 256;

/// The size of the others, that of nearly all models that were trained on ImageNet.
const USUAL: u32 = 224;

impl Pictures {
    /// The data set.
    ///
    /// # Errors
    /// No pictures, or only such as cannot be read.
    pub fn into_dataset(self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        if self.sources.is_empty() {
            return Err(Error::data(path, "there are no pictures in it"));
        }
        let probed = Probed::of(path, &self.sources)?;
        let (height, width) = match options.image_size {
            ImageSize::Pixels(height, width) => (height, width),
            ImageSize::Auto => match probed.size {
                Some((height, width)) if height.max(width) <= LONGEST_KEPT => (height, width),
                _ => (USUAL, USUAL),
            },
        };
        if let Some(bits) = probed.depth.filter(|bits| *bits < 16) {
            tracing::warn!(
                "{}: the images with 16 bits a value use {bits} of them, so their white is taken to be {} and not 65535; the model will take such images alike",
                path.display(),
                most_of(bits)
            );
        }
        let channels = if probed.is_color { Channels::Color } else { Channels::Grey };
        let listing: String =
            self.sizes.iter().zip(&self.names).map(|(size, name)| format!("{size}  {name}\n")).collect();
        let mut builder = LabelsBuilder::default();
        self.labels.iter().for_each(|label| builder.push(label));
        let (classes, labels) = builder.finish();
        Ok(Dataset {
            path: path.to_path_buf(),
            sha256: sha256(listing.as_bytes()),
            classes,
            labels,
            shape: InputShape(vec![channels.count() as i64, height.into(), width.into()]),
            range: Some(ValueRange { min: 0., max: 255. }),
            inputs: Inputs::Images(self.sources),
            names: Names::Files(self.names),
            table: None,
            portions: self.portions,
            groups: self.groups,
            depth: probed.depth,
        })
    }
}

/// What pictures are like, from some of them.
struct Probed {
    is_color: bool,
    /// Height and width, where all have the same.
    size: Option<(u32, u32)>,
    /// The bits that are used by those that have 16 a value.
    depth: Option<u8>,
}

impl Probed {
    fn of(path: &Path, sources: &[ImageSource]) -> Result<Self> {
        let count = sources.len().min(PROBED);
        let mut bytes = Vec::new();
        let mut first_problem = None;
        let mut probed: Option<Probed> = None;
        let mut pixels = 0;
        for index in 0..count {
            let source = &sources[index * sources.len() / count];
            let header = source.read(&mut bytes).map_err(|e| e.to_string());
            match header.and_then(|()| Header::read(&bytes)) {
                Ok(header) => {
                    let size = (header.height, header.width);
                    let mut depth = None;
                    if header.is_deep && pixels < PROBED_PIXELS {
                        pixels += u64::from(header.width) * u64::from(header.height);
                        // A damaged one is found when it is read.
                        depth = header.used_bits(&bytes).unwrap_or_default();
                    }
                    probed = Some(match probed {
                        None => Probed { is_color: header.is_color, size: Some(size), depth },
                        Some(before) => Probed {
                            is_color: before.is_color || header.is_color,
                            size: before.size.filter(|before| *before == size),
                            depth: before.depth.max(depth),
                        },
                    });
                }
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        probed.ok_or_else(|| {
            let problem = first_problem.expect("a picture that was not read has a problem");
            Error::data(path, format!("none of the pictures that were tried can be read: {problem}"))
        })
    }
}
