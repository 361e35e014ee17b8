//! Pictures as a model's input.

use std::path::Path;

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageFormat};
use tch::Tensor;

mod source;

use super::{InputShape, ValueRange};
use crate::error::{Error, Result};
pub use source::ImageSource;

/// Is this the name of a picture, of whatever format?
pub fn is_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok()
}

/// Reads a picture as a model's raw input, float32 (1, features): turned to grey, resized to the model's size, and its
/// black to white stretched over `range`.
///
/// # Errors
/// A file that is no PNG picture, and a model whose input is no grey image.
pub fn read(path: &Path, shape: &InputShape, range: ValueRange) -> Result<Tensor> {
    let Some((1, height, width)) = shape.image() else {
        let problem = format!(
            "the model takes rows of {} values, and no pictures; give it a CSV file",
            shape.features()
        );
        return Err(Error::data(path, problem));
    };
    let picture = decode(path)?;
    // 16 bits a value, so that a 16-bit picture keeps its depth.
    let grey = picture.into_luma16();
    let (height, width) = (height as u32, width as u32);
    let grey = if grey.dimensions() == (width, height) {
        grey
    } else {
        resize(&grey, width, height, FilterType::Triangle)
    };
    let scale = (range.max - range.min) / f32::from(u16::MAX);
    let values: Vec<f32> = grey.pixels().map(|pixel| range.min + f32::from(pixel.0[0]) * scale).collect();
    Ok(Tensor::from_slice(&values).view([1, shape.features()]))
}

fn decode(path: &Path) -> Result<DynamicImage> {
    if ImageFormat::from_path(path).ok() != Some(ImageFormat::Png) {
        return Err(Error::data(path, "pictures are read in PNG alone; save it as PNG"));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::data(path, format!("cannot read the file: {e}")))?;
    image::load_from_memory_with_format(&bytes, ImageFormat::Png)
        .map_err(|e| Error::data(path, format!("this is no PNG picture, or it is damaged ({e})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};

    const RANGE: ValueRange = ValueRange { min: 0., max: 16. };

    #[test]
    fn black_and_white_are_the_ends_of_the_range() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        GrayImage::from_fn(8, 8, |x, _| Luma([if x < 4 { 0 } else { 255 }])).save(&path).unwrap();
        let values =
            Vec::<f32>::try_from(read(&path, &InputShape(vec![1, 8, 8]), RANGE).unwrap().view(-1)).unwrap();
        assert_eq!(values[..8], [0., 0., 0., 0., 16., 16., 16., 16.]);
    }

    #[test]
    fn a_picture_of_another_size_is_resized() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        GrayImage::from_pixel(80, 40, Luma([255])).save(&path).unwrap();
        let input = read(&path, &InputShape(vec![1, 8, 8]), RANGE).unwrap();
        assert_eq!(input.size(), [1, 64]);
        assert_eq!(input.min().double_value(&[]), 16.);
    }

    #[test]
    fn a_damaged_picture_and_a_table_model_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, b"no picture").unwrap();
        assert!(read(&path, &InputShape(vec![1, 8, 8]), RANGE).unwrap_err().to_string().contains("a.png"));
        assert!(
            read(&path, &InputShape(vec![4]), RANGE).unwrap_err().to_string().contains("rows of 4 values")
        );
    }
}
