//! Rotary position embeddings of images.

use std::f64::consts::TAU;

use tch::{Device, Kind, Tensor};

use super::{Constant, Grid};

/// Rotary position embeddings (Su et al., "RoFormer", 2021) in the two dimensions of an image, as in DINOv3 (Siméoni et al.,
/// 2025): the first quarter of the values of a head rotates with the row of the patch, the second one with its column, and the
/// second half of the values are the other coordinates of the rotated pairs. Tokens before those of the patches do not rotate.
///
/// ```
/// use cresset::model::layer::{Grid, Rotation};
/// use tch::{Device, Kind, Tensor};
///
/// let rotation = Rotation::new(Grid { prefix: 1, rows: 2, columns: 3 }, 16);
/// // (N, heads, tokens, width of a head)
/// let queries = Tensor::rand([2, 4, 7, 16], (Kind::Float, Device::Cpu));
/// let rotated = rotation.apply(&queries);
/// // A rotation keeps the length, and the class token does not rotate.
/// assert!((rotated.norm() - queries.norm()).abs().double_value(&[]) < 1e-3);
/// assert_eq!(rotated.select(2, 0), queries.select(2, 0));
/// ```
#[derive(Debug)]
pub struct Rotation {
    /// Cosines of the angles, (length, width of a head).
    pub cosines: Constant,
    /// Sines of the angles, (length, width of a head).
    pub sines: Constant,
}

/// The longest period, in units of half the side of the image.
const LONGEST: f64 = 100.;

impl Rotation {
    /// For a grid of patches and heads of size `width`, a multiple of 4.
    pub fn new(grid: Grid, width: i64) -> Self {
        let options = (Kind::Double, Device::Cpu);
        let count = width / 4;
        let exponents = Tensor::arange(count, options) * 2. / (width / 2) as f64;
        let frequencies: Tensor = TAU * Tensor::from(LONGEST).pow(&-exponents);
        // From -1 to 1 over the side.
        let centers = |places: i64| (Tensor::arange(places, options) + 0.5) / places as f64 * 2. - 1.;
        let size = [grid.rows, grid.columns, count];
        let rows = (centers(grid.rows).view([-1, 1, 1]) * &frequencies).expand(size, false);
        let columns = (centers(grid.columns).view([1, -1, 1]) * &frequencies).expand(size, false);
        let angles = Tensor::cat(&[rows, columns], 2).view([-1, 2 * count]).repeat([1, 2]);
        let still = Tensor::zeros([grid.prefix, width], options);
        let angles = Tensor::cat(&[still, angles], 0);
        let constant = |values: Tensor| Constant::new(values.to_kind(Kind::Float));
        Rotation { cosines: constant(angles.cos()), sines: constant(angles.sin()) }
    }

    /// Rotates queries or keys, (N, heads, length, width of a head).
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let halves = x.chunk(2, -1);
        let turned = Tensor::cat(&[-&halves[1], halves[0].shallow_clone()], -1);
        x * self.cosines.like(x) + turned * self.sines.like(x)
    }
}
