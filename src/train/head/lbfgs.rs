//! L-BFGS with a strong Wolfe line search (Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4, 3.5 and 3.6), in
//! float64 on the full data.

use std::collections::VecDeque;

use tch::{Kind, Tensor};

/// When the search ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Number of iterations.
    pub iterations: u32,
    /// Largest absolute value of the gradient at a minimum.
    pub gradient: f64,
}

/// The point where the search ended.
pub(super) struct Minimum {
    /// Float64 (parameters).
    pub x: Tensor,
    /// Number of iterations.
    pub iterations: u32,
}

/// Differences of points and gradients that approximate the Hessian matrix.
const MEMORY: usize = 10;

/// The constants of the strong Wolfe conditions: decrease of the value, and of the slope.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// The most evaluations of a line search.
const TRIALS: u32 = 30;

/// Minimizes `function`, which returns the value and the gradient, float64 (parameters), at a point of the same shape.
pub(super) fn minimize(
    function: &dyn Fn(&Tensor) -> (f64, Tensor),
    start: &Tensor,
    limits: Limits,
) -> Minimum {
    let mut point = Point::at(start.copy(), function);
    let mut memory = Memory::default();
    for iteration in 0..limits.iterations {
        if point.gradient.abs().max().double_value(&[]) <= limits.gradient {
            return Minimum { x: point.x, iterations: iteration };
        }
        let direction = memory.direction(&point.gradient);
        let slope = dot(&direction, &point.gradient);
        // Without knowledge of the curvature, the first step has length 1 at most.
        let first = if memory.pairs.is_empty() { (1. / norm(&direction)).min(1.) } else { 1. };
        let line = Line { function, from: &point, direction: &direction, slope };
        let Some(next) = line.search(first) else {
            // Rounding errors hide any further decrease.
            return Minimum { x: point.x, iterations: iteration };
        };
        memory.add(&next.x - &point.x, &next.gradient - &point.gradient);
        point = next;
    }
    Minimum { x: point.x, iterations: limits.iterations }
}

/// A point with value and gradient.
struct Point {
    x: Tensor,
    value: f64,
    gradient: Tensor,
}

impl Point {
    fn at(x: Tensor, function: &dyn Fn(&Tensor) -> (f64, Tensor)) -> Self {
        let (value, gradient) = function(&x);
        Point { x, value, gradient }
    }
}

/// The last differences of points and gradients, and the inverse of their products.
#[derive(Default)]
struct Memory {
    pairs: VecDeque<(Tensor, Tensor, f64)>,
}

impl Memory {
    fn add(&mut self, step: Tensor, change: Tensor) {
        let product = dot(&step, &change);
        // The line search makes it positive, except for rounding errors.
        if product <= f64::EPSILON * dot(&change, &change) {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back((step, change, 1. / product));
    }

    /// The descent direction: minus the approximate inverse Hessian matrix times the gradient (the two-loop recursion).
    fn direction(&self, gradient: &Tensor) -> Tensor {
        let mut direction = gradient.neg();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (step, change, inverse) in self.pairs.iter().rev() {
            let share = inverse * dot(step, &direction);
            direction -= change * share;
            shares.push(share);
        }
        if let Some((_, change, inverse)) = self.pairs.back() {
            direction *= 1. / (inverse * dot(change, change));
        }
        for ((step, change, inverse), share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            direction += step * (share - inverse * dot(change, &direction));
        }
        direction
    }
}

/// A line from a point in a descent direction.
struct Line<'a> {
    function: &'a dyn Fn(&Tensor) -> (f64, Tensor),
    from: &'a Point,
    direction: &'a Tensor,
    /// The derivative at the start, negative.
    slope: f64,
}

/// A trial step of a line search.
struct Trial {
    length: f64,
    slope: f64,
    point: Point,
}

impl Line<'_> {
    fn trial(&self, length: f64) -> Trial {
        let point = Point::at(&self.from.x + self.direction * length, self.function);
        Trial { length, slope: dot(&point.gradient, self.direction), point }
    }

    /// Whether the value of a trial is low enough for its length.
    fn decreases(&self, trial: &Trial) -> bool {
        trial.point.value <= self.from.value + DECREASE * trial.length * self.slope
    }

    fn is_flat(&self, trial: &Trial) -> bool {
        trial.slope.abs() <= -CURVATURE * self.slope
    }

    /// A point that satisfies the strong Wolfe conditions; none if there is no lower point within the precision of numbers.
    fn search(&self, first: f64) -> Option<Point> {
        let x = self.from.x.shallow_clone();
        let gradient = self.from.gradient.shallow_clone();
        let start = Point { x, value: self.from.value, gradient };
        let mut before = Trial { length: 0., slope: self.slope, point: start };
        let mut length = first;
        for trials in 1..=TRIALS {
            let trial = self.trial(length);
            if !self.decreases(&trial) || (trials > 1 && trial.point.value >= before.point.value) {
                return self.zoom(before, trial, TRIALS - trials);
            }
            if self.is_flat(&trial) {
                return Some(trial.point);
            }
            if trial.slope >= 0. {
                return self.zoom(trial, before, TRIALS - trials);
            }
            length *= 2.;
            before = trial;
        }
        Some(before.point)
    }

    /// Narrows an interval that contains a point which satisfies the conditions. `low` is its end with the lower value.
    fn zoom(&self, mut low: Trial, mut high: Trial, trials: u32) -> Option<Point> {
        for _ in 0..trials {
            let trial = self.trial(between(&low, &high));
            if !self.decreases(&trial) || trial.point.value >= low.point.value {
                high = trial;
                continue;
            }
            if self.is_flat(&trial) {
                return Some(trial.point);
            }
            if trial.slope * (high.length - low.length) >= 0. {
                high = low;
            }
            low = trial;
        }
        (low.point.value < self.from.value).then_some(low.point)
    }
}

/// The minimum of the cubic polynomial with the values and slopes of two trials, not too close to either of them.
fn between(low: &Trial, high: &Trial) -> f64 {
    let width = high.length - low.length;
    let mean = low.slope + high.slope - 3. * (high.point.value - low.point.value) / width;
    let root = (mean * mean - low.slope * high.slope).sqrt() * width.signum();
    let share = 1. - (high.slope + root - mean) / (high.slope - low.slope + 2. * root);
    let share = if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.5 };
    low.length + share * width
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.dot(b).double_value(&[])
}

fn norm(x: &Tensor) -> f64 {
    x.square().sum(Kind::Double).sqrt().double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { iterations: 200, gradient: 1e-8 };

    fn values(x: &Tensor) -> Vec<f64> {
        Vec::try_from(x).unwrap()
    }

    /// Its minimum is at (1, 1), at the end of a curved valley.
    #[test]
    fn the_minimum_of_rosenbrocks_function_is_found() {
        let function = |x: &Tensor| {
            let [x, y] = values(x)[..] else { unreachable!("two values") };
            let (a, b) = (1. - x, y - x * x);
            (a * a + 100. * b * b, Tensor::from_slice(&[-2. * a - 400. * x * b, 200. * b]))
        };
        let found = minimize(&function, &Tensor::from_slice(&[-1.2, 1.]), LIMITS);
        assert!(values(&found.x).iter().all(|value| (value - 1.).abs() < 1e-7), "{:?}", values(&found.x));
        assert!(found.iterations < 60, "{}", found.iterations);
    }

    #[test]
    fn a_start_at_the_minimum_needs_no_iteration_and_limits_hold() {
        let square = |x: &Tensor| (x.dot(x).double_value(&[]), x * 2.);
        assert_eq!(minimize(&square, &Tensor::from_slice(&[0f64, 0.]), LIMITS).iterations, 0);
        let limits = Limits { iterations: 2, ..LIMITS };
        let quartic = |x: &Tensor| {
            (x.pow_tensor_scalar(4).sum(Kind::Double).double_value(&[]), x.pow_tensor_scalar(3) * 4.)
        };
        assert_eq!(minimize(&quartic, &Tensor::from_slice(&[3f64, -2.]), limits).iterations, 2);
    }

    /// The function is below any bound, so no step is long enough; the search still ends.
    #[test]
    fn a_function_without_a_minimum_ends_the_search() {
        let line = |x: &Tensor| (x.sum(Kind::Double).double_value(&[]), x.ones_like());
        let limits = Limits { iterations: 3, ..LIMITS };
        assert!(values(&minimize(&line, &Tensor::from_slice(&[0f64]), limits).x)[0] < -1.);
    }
}
