//! The confusion matrix as an image.

use image::{Rgb, RgbImage};

use super::ConfusionMatrix;

/// The largest side of the image, in pixels. It is exceeded only if there are more classes, with one pixel each.
const SIDE: usize = 640;
/// The largest side of a cell, in pixels.
const LARGEST_CELL: usize = 32;

/// Draws the matrix, normalized by row: the darker the cell, the larger the fraction of the actual class (row) that was predicted
/// as the class of the column.
pub fn confusion(matrix: &ConfusionMatrix) -> RgbImage {
    let cell = (SIDE / matrix.classes()).clamp(1, LARGEST_CELL);
    let side = (cell * matrix.classes()) as u32;
    let support: Vec<u64> = (0..matrix.classes()).map(|class| matrix.support(class)).collect();
    RgbImage::from_fn(side, side, |x, y| {
        let (actual, predicted) = (y as usize / cell, x as usize / cell);
        shade(matrix.count(actual, predicted) as f64 / support[actual].max(1) as f64)
    })
}

/// White to dark blue. The square root makes single errors visible.
fn shade(share: f64) -> Rgb<u8> {
    const WHITE: [f64; 3] = [255.; 3];
    const BLUE: [f64; 3] = [8., 48., 107.];
    let mix = |channel: usize| WHITE[channel] + (BLUE[channel] - WHITE[channel]) * share.sqrt();
    Rgb([0, 1, 2].map(|channel| mix(channel).round() as u8))
}
