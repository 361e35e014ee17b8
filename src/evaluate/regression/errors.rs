//! Mean absolute error, mean squared error and R².

use tch::{Device, Kind, Tensor};

/// Sums of the errors of predicted numbers, and of the deviations of the targets from their mean.
///
/// The deviations are merged as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
/// Variances" (1979), which stays accurate if the mean is large compared with the deviations.
///
/// ```
/// use cresset::evaluate::regression::ErrorSums;
/// use tch::Tensor;
///
/// let predictions = Tensor::from_slice(&[2.5f32, 0., 2., 8.]);
/// let targets = Tensor::from_slice(&[3f32, -0.5, 2., 7.]);
/// let errors = ErrorSums::of(&predictions, &targets);
/// assert_eq!((errors.mae(), errors.mse()), (0.5, 0.375));
/// assert!((errors.r2().unwrap() - 0.948_608_137).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ErrorSums {
    examples: u64,
    absolute: f64,
    squared: f64,
    target_mean: f64,
    /// The sum of (target - mean)².
    target_squares: f64,
}

impl ErrorSums {
    /// Sums the errors of predictions, float (N) or (N, 1), against targets, float (N) or (N, 1), in float64.
    ///
    /// # Panics
    /// If the numbers of predictions and targets differ.
    pub fn of(predictions: &Tensor, targets: &Tensor) -> Self {
        // Flat, since the difference of (N) and (N, 1) would be (N, N).
        let flat = |tensor: &Tensor| tensor.to_device(Device::Cpu).to_kind(Kind::Double).reshape(-1);
        let (predictions, targets) = (flat(predictions), flat(targets));
        assert_eq!(predictions.size(), targets.size(), "a prediction for each target");
        let examples = targets.size()[0];
        if examples == 0 {
            return ErrorSums::default();
        }
        let sum = |values: &Tensor| values.sum(Kind::Double).double_value(&[]);
        let errors = predictions - &targets;
        // Relative to the first target, the deviations of equal targets are exactly 0.
        let first = targets.double_value(&[0]);
        let shifted = targets - first;
        let mean = sum(&shifted) / examples as f64;
        ErrorSums {
            examples: examples as u64,
            absolute: sum(&errors.abs()),
            squared: sum(&errors.square()),
            target_mean: first + mean,
            target_squares: sum(&(shifted - mean).square()),
        }
    }

    /// Adds the sums of other examples.
    pub fn add(&mut self, other: &Self) {
        if other.examples == 0 {
            return;
        }
        let (own, added) = (self.examples as f64, other.examples as f64);
        let (distance, share) = (other.target_mean - self.target_mean, added / (own + added));
        self.target_squares += other.target_squares + distance * distance * own * share;
        self.target_mean += distance * share;
        self.examples += other.examples;
        self.absolute += other.absolute;
        self.squared += other.squared;
    }

    /// The sums as numbers that another process restores with [`ErrorSums::from_values`] and adds. Sums of these numbers have no
    /// meaning, because the deviations depend on the mean: processes all-gather them.
    pub fn to_values(&self) -> [f64; 5] {
        [self.examples as f64, self.absolute, self.squared, self.target_mean, self.target_squares]
    }

    /// Restores the sums from [`ErrorSums::to_values`].
    pub fn from_values([examples, absolute, squared, target_mean, target_squares]: [f64; 5]) -> Self {
        ErrorSums { examples: examples as u64, absolute, squared, target_mean, target_squares }
    }

    /// The number of examples.
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// Mean absolute error, in the unit of the targets; NaN without examples.
    pub fn mae(&self) -> f64 {
        self.absolute / self.examples as f64
    }

    /// Mean squared error, in the squared unit of the targets; NaN without examples.
    pub fn mse(&self) -> f64 {
        self.squared / self.examples as f64
    }

    /// Root mean squared error, in the unit of the targets; NaN without examples.
    pub fn rmse(&self) -> f64 {
        self.mse().sqrt()
    }

    /// The coefficient of determination R²: 1 for exact predictions, 0 for predictions as good as the mean of these targets, and
    /// negative for worse ones. `None` if all targets are equal.
    pub fn r2(&self) -> Option<f64> {
        (self.target_squares > 0.).then(|| 1. - self.squared / self.target_squares)
    }
}
