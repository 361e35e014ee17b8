//! Loss scaling for float16 (Micikevicius et al., "Mixed Precision Training", ICLR 2018).

use serde::{Deserialize, Serialize};

/// The factor of the loss in the backward pass, which keeps small gradients from underflowing. It is halved when gradients
/// overflow and doubled after a number of updates without overflow, as in PyTorch's `GradScaler`.
///
/// ```
/// use cresset::train::LossScale;
///
/// assert_eq!(LossScale::default().factor(), 65536.);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f64,
    good_updates: u32,
}

/// Number of updates without overflow until the scale is doubled.
const GROWTH_INTERVAL: u32 = 2000;

impl Default for LossScale {
    fn default() -> Self {
        LossScale { factor: 65536., good_updates: 0 }
    }
}

impl LossScale {
    /// The factor.
    pub fn factor(self) -> f64 {
        self.factor
    }

    /// Adapts the scale to whether the gradients are finite, and returns `is_finite`.
    pub(crate) fn adapt(&mut self, is_finite: bool) -> bool {
        self.good_updates += 1;
        if !is_finite {
            *self = LossScale { factor: self.factor / 2., good_updates: 0 };
        } else if self.good_updates == GROWTH_INTERVAL {
            *self = LossScale { factor: self.factor * 2., good_updates: 0 };
        }
        is_finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_halves_on_overflow_and_doubles_after_the_growth_interval() {
        let mut scale = LossScale::default();
        assert!(!scale.adapt(false));
        assert_eq!(scale.factor(), 32768.);
        for _ in 1..GROWTH_INTERVAL {
            assert!(scale.adapt(true));
            assert_eq!(scale.factor(), 32768.);
        }
        scale.adapt(true);
        assert_eq!(scale.factor(), 65536.);
    }
}
