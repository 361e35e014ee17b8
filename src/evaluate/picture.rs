//! The confusion matrix as a picture.

use image::{Rgb, RgbImage};

use super::Confusion;

/// The side of the picture, if a class has more than a pixel, and of the largest cells.
const SIDE: usize = 640;
const LARGEST_CELL: usize = 32;

/// A square cell for each pair of classes, the darker the greater the share of the true class (row) that was taken for the other
/// one (column).
pub fn confusion(matrix: &Confusion) -> RgbImage {
    let cell = (SIDE / matrix.classes()).clamp(1, LARGEST_CELL);
    let side = (cell * matrix.classes()) as u32;
    let support: Vec<u64> = (0..matrix.classes()).map(|class| matrix.support(class)).collect();
    RgbImage::from_fn(side, side, |x, y| {
        let (truth, predicted) = (y as usize / cell, x as usize / cell);
        shade(matrix.count(truth, predicted) as f64 / support[truth].max(1) as f64)
    })
}

/// From white to a dark blue; the root makes single mistakes visible.
fn shade(share: f64) -> Rgb<u8> {
    const WHITE: [f64; 3] = [255.; 3];
    const BLUE: [f64; 3] = [8., 48., 107.];
    let mixed = |channel: usize| WHITE[channel] + (BLUE[channel] - WHITE[channel]) * share.sqrt();
    Rgb([0, 1, 2].map(|channel| mixed(channel).round() as u8))
}
