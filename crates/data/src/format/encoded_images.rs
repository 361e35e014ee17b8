//! Shared code of the formats with encoded images.

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::options::ImageSize;
use crate::image::{Channels, Header, ImageSource, max_of_bits};
use crate::{
    DataOptions, Dataset, InputShape, Inputs, LabelsBuilder, Names, Subset, Targets, ValueRange, sha256,
};

/// Encoded images with their labels. Every list has one entry per image.
#[derive(Debug, Default)]
pub(crate) struct EncodedImages {
    /// The locations of the encoded images.
    pub sources: Vec<ImageSource>,
    /// The names, relative to the data set's path.
    pub names: Vec<String>,
    /// The labels as text.
    pub labels: Vec<String>,
    /// The size of each encoded image in bytes.
    pub sizes: Vec<u64>,
    /// The subset of each image, if the format defines it.
    pub portions: Option<Vec<Subset>>,
    /// The group of each image, if the format defines it.
    pub groups: Option<Vec<String>>,
}

/// The number of images whose headers are read to infer color, size and depth.
const SAMPLED: usize = 512;

/// The maximum number of pixels decoded to infer the bits in use of 16-bit images: a few seconds of work.
const MAX_SAMPLED_PIXELS: u64 = 1 << 27;

/// If all images have the same size and no longer side than this, the size is kept.
const MAX_KEPT_SIDE: u32 = 256;

/// The default size otherwise, as used by most models trained on ImageNet.
const DEFAULT_SIDE: u32 = 224;

impl EncodedImages {
    /// Converts the images to a data set.
    ///
    /// # Errors
    /// No images, or none that can be read.
    pub(crate) fn into_dataset(self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        if self.sources.is_empty() {
            return Err(Error::data(path, "no images found"));
        }
        let properties = ImageProperties::of(path, &self.sources)?;
        let (height, width) = match options.image_size {
            ImageSize::Pixels(height, width) => (height, width),
            ImageSize::Auto => match properties.size {
                Some((height, width)) if height.max(width) <= MAX_KEPT_SIDE => (height, width),
                _ => (DEFAULT_SIDE, DEFAULT_SIDE),
            },
        };
        if let Some(bits) = properties.depth.filter(|bits| *bits < 16) {
            tracing::warn!(
                "{}: the images with 16 bits per value use {bits} of them, so white is assumed to be {} and not 65535; the model will treat new images in the same way",
                path.display(),
                max_of_bits(bits)
            );
        }
        let channels = if properties.is_color { Channels::Color } else { Channels::Grey };
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
            targets: Targets::Classes,
            shape: InputShape(vec![channels.count() as i64, height.into(), width.into()]),
            range: Some(ValueRange { min: 0., max: 255. }),
            inputs: Inputs::Images(self.sources),
            names: Names::Files(self.names),
            table: None,
            portions: self.portions,
            groups: self.groups,
            decoding: options.decoding(properties.depth),
            texts: None,
            choices: Default::default(),
        })
    }
}

/// Properties of a sample of images.
struct ImageProperties {
    is_color: bool,
    /// Height and width, if all are equal.
    size: Option<(u32, u32)>,
    /// The bits in use by images with 16 bits per value.
    depth: Option<u8>,
}

impl ImageProperties {
    fn of(path: &Path, sources: &[ImageSource]) -> Result<Self> {
        let count = sources.len().min(SAMPLED);
        let mut bytes = Vec::new();
        let mut first_problem = None;
        let mut properties: Option<ImageProperties> = None;
        let mut pixels = 0;
        for index in 0..count {
            let source = &sources[index * sources.len() / count];
            let header = source.read(&mut bytes).map_err(|e| e.to_string());
            match header.and_then(|()| Header::read(&bytes)) {
                Ok(header) => {
                    let size = (header.height, header.width);
                    let mut depth = None;
                    if header.is_deep && pixels < MAX_SAMPLED_PIXELS {
                        pixels += u64::from(header.width) * u64::from(header.height);
                        // A damaged image is reported when it is decoded.
                        depth = header.used_bits(&bytes).unwrap_or_default();
                    }
                    properties = Some(match properties {
                        None => ImageProperties { is_color: header.is_color, size: Some(size), depth },
                        Some(before) => ImageProperties {
                            is_color: before.is_color || header.is_color,
                            size: before.size.filter(|before| *before == size),
                            depth: before.depth.max(depth),
                        },
                    });
                }
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        properties.ok_or_else(|| {
            let problem = first_problem.expect("an unreadable image has a problem");
            Error::data(path, format!("none of the sampled images can be read: {problem}"))
        })
    }
}
