//! Whether mirroring an image keeps its class.

/// How the mean images of the classes change when they are mirrored horizontally.
///
/// Mirrored letters and digits are often other characters, or none; mirrored clothes stay the same. If the mirrored mean image of
/// a class is nearer to its own mean image than to that of any other class, mirroring probably keeps the class.
///
/// ```
/// use cresset::recipe::Mirror;
///
/// // The classes `b` and `d` are mirror images of each other, `o` is symmetric.
/// let (b, d, o) = ([1., 0., 1., 1.], [0., 1., 1., 1.], [0., 0., 1., 1.]);
/// let images = [b, d, o].concat();
/// let mirror = Mirror::of(&images, &[0, 1, 2], 3, (1, 2, 2)).unwrap();
/// assert_eq!((mirror.kept, mirror.classes, mirror.swaps), (1, 3, true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirror {
    /// Number of classes whose mirrored mean image is nearest to their own mean image.
    pub kept: usize,
    /// Number of classes with images.
    pub classes: usize,
    /// Whether the mirrored mean images of two classes are clearly nearer to those of each other.
    pub swaps: bool,
}

/// Share of the distance to its own mean image below which another class counts as clearly nearer.
const CLEARLY: f64 = 0.8;

/// Share of classes that mirroring has to keep. Of the digits, it keeps 4 of 10, of the capital letters of 38 fonts 13 of 26, of
/// Fashion-MNIST 9 of 10.
const MOST: f64 = 0.75;

impl Mirror {
    /// Compares the mean images of at most `classes` classes. `images` has the values of all images, concatenated, in (channels,
    /// height, width) order; `shape` is that of one image. None without two classes.
    pub fn of(
        images: &[f32],
        labels: &[usize],
        classes: usize,
        shape: (usize, usize, usize),
    ) -> Option<Self> {
        let size = shape.0 * shape.1 * shape.2;
        let mut sums = vec![vec![0f64; size]; classes];
        let mut counts = vec![0usize; classes];
        for (image, label) in images.chunks_exact(size).zip(labels) {
            counts[*label] += 1;
            sums[*label].iter_mut().zip(image).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let means = sums.iter().zip(&counts).filter(|(_, count)| **count > 0);
        let means: Vec<Vec<f64>> =
            means.map(|(sum, count)| sum.iter().map(|value| value / *count as f64).collect()).collect();
        if means.len() < 2 {
            return None;
        }
        let distances: Vec<Vec<f64>> = means
            .iter()
            .map(|mean| {
                let mirrored = mirrored(mean, shape.2);
                means.iter().map(|other| distance(&mirrored, other)).collect()
            })
            .collect();
        let nearest = |from: usize| {
            let others = (0..means.len()).filter(|to| *to != from);
            others.min_by(|a, b| distances[from][*a].total_cmp(&distances[from][*b])).expect("there are two")
        };
        let is_kept = |class: &usize| distances[*class][*class] < distances[*class][nearest(*class)];
        let is_clear = |from: usize, to: usize| distances[from][to] < CLEARLY * distances[from][from];
        let is_swapped = |class: usize| {
            let other = nearest(class);
            is_clear(class, other) && is_clear(other, class) && nearest(other) == class
        };
        Some(Mirror {
            kept: (0..means.len()).filter(is_kept).count(),
            classes: means.len(),
            swaps: (0..means.len()).any(is_swapped),
        })
    }

    /// Whether grayscale images can be flipped: mirroring keeps three quarters of the classes.
    pub fn keeps_most(self) -> bool {
        self.kept as f64 >= MOST * self.classes as f64
    }
}

/// Each row of an image of this width in reverse.
fn mirrored(image: &[f64], width: usize) -> Vec<f64> {
    image.chunks(width).flat_map(|row| row.iter().rev().copied()).collect()
}

/// Euclidean distance.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}
