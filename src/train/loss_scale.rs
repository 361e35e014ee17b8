//! Loss scaling for float16 (Micikevicius et al., "Mixed Precision Training", ICLR 2018).

use serde::{Deserialize, Serialize};

/// What the loss is multiplied with before the backward pass, so that small gradients do not become zero. It halves when
/// gradients overflow and doubles when they have not for a while, as in PyTorch's `GradScaler`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f64,
    good_updates: u32,
}

/// Updates without overflow before the scale is doubled.
const PATIENCE: u32 = 2000;

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

    /// Takes note whether the gradients are finite, and gives that back.
    pub fn adapt(&mut self, is_finite: bool) -> bool {
        self.good_updates += 1;
        if !is_finite {
            *self = LossScale { factor: self.factor / 2., good_updates: 0 };
        } else if self.good_updates == PATIENCE {
            *self = LossScale { factor: self.factor * 2., good_updates: 0 };
        }
        is_finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_halves_on_overflow_and_doubles_after_a_long_good_time() {
        let mut scale = LossScale::default();
        assert!(!scale.adapt(false));
        assert_eq!(scale.factor(), 32768.);
        for _ in 1..PATIENCE {
            assert!(scale.adapt(true));
            assert_eq!(scale.factor(), 32768.);
        }
        scale.adapt(true);
        assert_eq!(scale.factor(), 65536.);
    }
}
