//! libtorch's fused optimizer kernels.
//!
//! One call updates all parameters: for the digits perceptron an Adam step takes 8 µs instead of the 66 µs of
//! `tch::nn::Adam`, which updates the parameters one operation at a time.

use cxx::UniquePtr;
use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend};
use crate::kernels::Kernel;

/// Parameters that are updated together. The group shares memory with the tensors passed to [`Group::add`], so the
/// optimizer state can be saved and restored through them.
pub struct Group(UniquePtr<ffi::Group>);

// SAFETY: the C++ object holds reference-counted tensors and nothing bound to a thread; `&mut self` on every method
// prevents concurrent use.
unsafe impl Send for Group {}

/// The hyperparameters of Adam (Kingma and Ba, 2015), with PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Decay rate of the running mean of gradients.
    pub beta1: f64,
    /// Decay rate of the running mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether weight decay is applied to the weights directly (AdamW) instead of being added to the gradients.
    pub decoupled: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0., decoupled: false }
    }
}

impl Group {
    /// Creates an empty group. `step` counts the steps: a float32 scalar on the parameters' device.
    pub fn new(step: &Tensor) -> Self {
        Group(ffi::new_group(lend(step)))
    }

    /// Adds a parameter with its state: Adam's `exp_avg` and `exp_avg_sq`, or SGD's momentum buffer as `first`.
    /// All have the shape, dtype and device of the parameter and start at zero.
    pub fn add(&mut self, parameter: &Tensor, first: &Tensor, second: &Tensor) -> Result<()> {
        Ok(self.0.pin_mut().add(lend(parameter), lend(first), lend(second))?)
    }

    /// Makes all later steps read the learning rate from `lr`, ignoring their argument, and do nothing while `skip` is 1, so
    /// that a step needs no values from the host. Both are float32 scalars on the parameters' device. RMSprop does not
    /// support this.
    pub fn read_from(&mut self, lr: &Tensor, skip: &Tensor) -> Result<()> {
        Ok(self.0.pin_mut().read_from(lend(lr), lend(skip))?)
    }

    /// One step of Adam with the gradients of the last backward pass.
    pub fn adam_step(&mut self, lr: f64, adam: Adam) -> Result<()> {
        let Adam { beta1, beta2, eps, weight_decay, decoupled } = adam;
        self.select_kernels();
        let is_own = self.0.pin_mut().adam_step(lr, beta1, beta2, eps, weight_decay, decoupled)?;
        if is_own {
            Kernel::SmallAdam.count_run();
        }
        Ok(())
    }

    /// One step of stochastic gradient descent; `first` is the momentum buffer.
    pub fn sgd_step(&mut self, lr: f64, momentum: f64, nesterov: bool, weight_decay: f64) -> Result<()> {
        self.select_kernels();
        Ok(self.0.pin_mut().sgd_step(lr, momentum, nesterov, weight_decay)?)
    }

    /// One step of Adagrad; `first` is the sum of squared gradients.
    pub fn adagrad_step(&mut self, lr: f64, lr_decay: f64, eps: f64, weight_decay: f64) -> Result<()> {
        self.select_kernels();
        Ok(self.0.pin_mut().adagrad_step(lr, lr_decay, eps, weight_decay)?)
    }

    /// One step of RMSprop; `first` is the running mean of squared gradients with decay `alpha`, `second` the momentum
    /// buffer.
    pub fn rmsprop_step(
        &mut self,
        lr: f64,
        alpha: f64,
        momentum: f64,
        eps: f64,
        weight_decay: f64,
    ) -> Result<()> {
        self.select_kernels();
        Ok(self.0.pin_mut().rmsprop_step(lr, alpha, momentum, eps, weight_decay)?)
    }

    fn select_kernels(&mut self) {
        let flushes = cfg!(target_arch = "x86_64") && Kernel::SubnormalFlush.is_enabled();
        if flushes {
            Kernel::SubnormalFlush.count_run();
        }
        self.0.pin_mut().select(Kernel::SmallAdam.is_enabled(), flushes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::Gradients;
    use tch::nn::{self, OptimizerConfig};
    use tch::{Device, Kind};

    /// The largest difference between tch's optimizer and the fused one over 20 steps of a small regression.
    fn largest_difference(mut reference: nn::Optimizer, vs: &nn::VarStore, step: impl Fn(&mut Group)) -> f64 {
        let theirs = vs.root().get("w").unwrap();
        let ours = theirs.detach().copy().set_requires_grad(true);
        let count = Tensor::zeros([], (Kind::Float, Device::Cpu));
        let mut group = Group::new(&count);
        group.add(&ours, &ours.zeros_like().detach(), &ours.zeros_like().detach()).unwrap();
        let x = Tensor::randn([32, 5], (Kind::Float, Device::Cpu));
        let y = Tensor::randn([32, ours.size()[1]], (Kind::Float, Device::Cpu));
        for _ in 0..20 {
            reference.backward_step(&x.matmul(&theirs).mse_loss(&y, tch::Reduction::Mean));
            x.matmul(&ours).mse_loss(&y, tch::Reduction::Mean).backward();
            step(&mut group);
            Gradients::of([&ours]).unwrap().clear().unwrap();
        }
        assert_eq!(f64::try_from(&count).unwrap(), 20.);
        (ours.detach() - theirs.detach()).abs().max().double_value(&[])
    }

    fn store() -> nn::VarStore {
        store_of(3)
    }

    fn store_of(width: i64) -> nn::VarStore {
        tch::manual_seed(7);
        let vs = nn::VarStore::new(Device::Cpu);
        let _ = vs.root().var("w", &[5, width], nn::Init::Randn { mean: 0., stdev: 1. });
        vs
    }

    #[test]
    fn fused_adam_follows_libtorchs_own_adam() {
        // The bridge's kernel updates few parameters, libtorch's more than 2¹⁶.
        for width in [3, 20_000] {
            let vs = store_of(width);
            let reference = nn::Adam::default().build(&vs, 1e-2).unwrap();
            let difference =
                largest_difference(reference, &vs, |g| g.adam_step(1e-2, Adam::default()).unwrap());
            assert!(difference < 1e-6, "{width}: {difference}");
        }
    }

    #[test]
    fn fused_sgd_follows_libtorchs_own_sgd() {
        for momentum in [0., 0.9] {
            let vs = store();
            let reference = nn::sgd(momentum, 0., 1e-3, false).build(&vs, 1e-2).unwrap();
            let difference =
                largest_difference(reference, &vs, |g| g.sgd_step(1e-2, momentum, false, 1e-3).unwrap());
            assert!(difference < 1e-6, "{momentum}: {difference}");
        }
    }

    #[test]
    fn a_step_can_read_its_rate_and_whether_to_be_one_from_tensors() {
        let scalar = |value: f32| Tensor::from(value);
        let adam = Adam { weight_decay: 0.1, ..Adam::default() };
        type Step = fn(&mut Group, f64, Adam) -> Result<()>;
        let steps: [Step; 4] = [
            |group, lr, adam| group.adam_step(lr, adam),
            |group, lr, adam| group.adam_step(lr, Adam { decoupled: true, ..adam }),
            |group, lr, _| group.sgd_step(lr, 0.9, true, 0.1),
            |group, lr, _| group.adagrad_step(lr, 0.1, 1e-10, 0.1),
        ];
        for (number, step) in steps.iter().enumerate() {
            let weights = [(); 2].map(|()| Tensor::from_slice(&[1f32, -2., 3.]).set_requires_grad(true));
            let counts = [(); 2].map(|()| scalar(0.));
            let (mut lr, mut skip) = (scalar(0.), scalar(0.));
            let mut groups = [0, 1].map(|place: usize| {
                let mut group = Group::new(&counts[place]);
                let zeros = || weights[place].zeros_like().detach();
                group.add(&weights[place], &zeros(), &zeros()).unwrap();
                group
            });
            groups[1].read_from(&lr, &skip).unwrap();
            for round in 0..6 {
                let rate = [0.5f32, 0.25, 0.125][round % 3];
                for weight in &weights {
                    weight.square().sum(Kind::Float).backward();
                }
                step(&mut groups[0], f64::from(rate), adam).unwrap();
                let _ = lr.fill_(f64::from(rate));
                // First a skipped step, then the same step for real.
                for is_none in [1., 0.] {
                    let _ = skip.fill_(is_none);
                    step(&mut groups[1], 1e9, adam).unwrap();
                }
                Gradients::of(&weights).unwrap().clear().unwrap();
            }
            assert_eq!(weights[0], weights[1], "optimizer {number}");
            assert_eq!(counts[0], counts[1], "optimizer {number}");
        }
        let weight = scalar(1.).set_requires_grad(true);
        let mut group = Group::new(&scalar(0.));
        group.add(&weight, &scalar(0.), &scalar(0.)).unwrap();
        group.read_from(&scalar(0.), &scalar(0.)).unwrap();
        assert!(group.rmsprop_step(1., 0.9, 0., 1e-8, 0.).unwrap_err().0.contains("RMSprop has no kernel"));
    }

    /// Moments whose gradients have become zero halve every few steps and are never rounded to zero by arithmetic alone.
    #[test]
    fn what_gradients_leave_behind_becomes_zero_before_processors_are_slow_with_it() {
        type Step = fn(&mut Group);
        let steps: [Step; 3] = [
            |group| group.adam_step(1e-3, Adam::default()).unwrap(),
            |group| group.sgd_step(1e-3, 0.9, false, 0.).unwrap(),
            |group| group.rmsprop_step(1e-3, 0.9, 0., 1e-8, 0.).unwrap(),
        ];
        // Updated on one core, and on all cores.
        for count in [100, 300_000] {
            for (number, step) in steps.iter().enumerate() {
                let parameter = Tensor::zeros([count], (Kind::Float, Device::Cpu)).set_requires_grad(true);
                let [first, second] = [(); 2].map(|()| parameter.zeros_like().detach());
                let mut group = Group::new(&Tensor::zeros([], (Kind::Float, Device::Cpu)));
                group.add(&parameter, &first, &second).unwrap();
                (&parameter * 1e-18).sum(Kind::Float).backward();
                step(&mut group);
                let _ = parameter.grad().zero_();
                (0..700).for_each(|_| step(&mut group));
                assert_eq!(
                    first.count_nonzero(0).int64_value(&[]),
                    0,
                    "{count} parameters, optimizer {number}"
                );
            }
        }
        let tiny = Tensor::from_slice(&[1e-30f32]);
        assert!((tiny * 1e-10).double_value(&[0]) > 0., "other operations keep subnormal numbers");
    }

    #[test]
    fn a_gradient_with_other_strides_than_its_parameter_updates_the_right_weights() {
        let parameter = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let step = Tensor::zeros([], (Kind::Float, Device::Cpu));
        let mut group = Group::new(&step);
        group.add(&parameter, &parameter.zeros_like().detach(), &parameter.zeros_like().detach()).unwrap();
        let gradient = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6.]).view([2, 3]);
        // The gradient of the product with respect to `parameter` is a transposed, so column-major, tensor.
        let loss = (parameter.tr() * gradient.tr().contiguous()).sum(Kind::Float);
        loss.backward();
        group.sgd_step(1., 0., false, 0.).unwrap();
        let difference = (parameter.detach() + gradient).abs().max().double_value(&[]);
        assert_eq!(difference, 0.);
    }
}
