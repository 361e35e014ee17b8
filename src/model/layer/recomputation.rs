//! Gradient checkpointing: blocks whose inner values are computed again in the backward pass instead of being kept for it (Chen et al.,
//! "Training Deep Nets with Sublinear Memory Cost", 2016).

use std::cell::{Cell, RefCell};

use cresset_bridge::{autocast, random};
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// The blocks of a layer, one after the other, with the same size of input and output.
///
/// The forward pass ends at a leaf of the autograd graph, so the backward pass of the loss stops there; then
/// [`Recomputation::backward`] goes on through the blocks, the last one first.
#[derive(Debug, Default)]
pub struct Recomputation {
    is_on: Cell<bool>,
    pending: RefCell<Option<Pending>>,
}

/// What the backward pass needs.
#[derive(Debug)]
struct Pending {
    /// The input of each block, and the state of the random number generator there, which dropout draws from.
    inputs: Vec<(Tensor, Tensor)>,
    /// Whatever else all blocks take, without gradients.
    shared: Vec<Tensor>,
    /// The output of the last block, a leaf.
    output: Tensor,
}

/// The output of the block of this index, for `x` and what all blocks share.
type Block<'a> = &'a dyn Fn(usize, &Tensor, &[Tensor]) -> Tensor;

impl Recomputation {
    /// Computes the blocks again from now on.
    pub fn turn_on(&self) {
        self.is_on.set(true);
    }

    /// The output of `count` blocks for `x`.
    ///
    /// # Panics
    /// If the generator of the device has no state that can be read.
    pub fn forward(&self, x: Tensor, shared: Vec<Tensor>, count: usize, train: bool, block: Block) -> Tensor {
        if !self.is_on.get() || !train {
            return (0..count).fold(x, |x, index| block(index, &x, &shared));
        }
        let mut inputs = Vec::with_capacity(count);
        let mut x = x;
        for index in 0..count {
            let state = generator_state(x.device()).expect("the generator of a device has a state");
            // With the graph of the block, which is dropped at once, libtorch chooses the same kernels as in the backward pass.
            let output = block(index, &inner(&leaf_of(&x)), &shared);
            inputs.push((std::mem::replace(&mut x, leaf_of(&output)), state));
        }
        *self.pending.borrow_mut() = Some(Pending { inputs, shared, output: x.shallow_clone() });
        inner(&x)
    }

    /// Continues the backward pass of a loss, which has ended at the output of the last forward pass: adds the gradients of the parameters
    /// of the blocks and of what is before them. `precision` is that of the autocast of the forward pass. Does nothing if there
    /// was no forward pass since the last call.
    ///
    /// # Errors
    /// What libtorch fails with.
    pub fn backward(&self, precision: Option<Kind>, block: Block) -> Result<()> {
        let Some(Pending { mut inputs, shared, output }) = self.pending.take() else { return Ok(()) };
        let device = output.device();
        let now = generator_state(device)?;
        let mut gradient = output.grad();
        while let Some((input, state)) = inputs.pop() {
            if !gradient.defined() {
                break;
            }
            set_generator_state(device, &state)?;
            let leaf = leaf_of(&input);
            let index = inputs.len();
            let output = match precision {
                Some(kind) => autocast::with(device, kind, || block(index, &inner(&leaf), &shared))?,
                None => block(index, &inner(&leaf), &shared),
            };
            descend(&output, &gradient)?;
            gradient = leaf.grad();
            if index == 0 && gradient.defined() {
                descend(&input, &gradient)?;
            }
        }
        Ok(set_generator_state(device, &now)?)
    }
}

/// A leaf with the values of a tensor, which requires gradients if the tensor does.
fn leaf_of(x: &Tensor) -> Tensor {
    x.detach().set_requires_grad(x.requires_grad())
}

/// The same tensor as a result in the graph. Autocast would cast a leaf, as a weight, once for all operations that take it, and its
/// gradients would be added in lower precision.
fn inner(leaf: &Tensor) -> Tensor {
    leaf.view_as(leaf)
}

/// The backward pass from a tensor with this gradient.
fn descend(from: &Tensor, gradient: &Tensor) -> Result<()> {
    if from.requires_grad() {
        // The gradient of this sum by `from` is `gradient`, exactly.
        (from * gradient).f_sum(from.kind())?.f_backward()?;
    }
    Ok(())
}

fn generator_state(device: Device) -> cresset_bridge::Result<Tensor> {
    match device {
        Device::Cuda(_) => random::cuda_generator_state(device),
        _ => random::cpu_generator_state(),
    }
}

fn set_generator_state(device: Device, state: &Tensor) -> cresset_bridge::Result<()> {
    match device {
        Device::Cuda(_) => random::set_cuda_generator_state(device, state),
        _ => random::set_cpu_generator_state(state),
    }
}

#[cfg(test)]
mod tests {
    use crate::data::InputShape;
    use crate::data::column::FeatureGroup;
    use crate::model::{Network, Task, Tensors};
    use crate::train::{Learner, Plan, Precision, StepOutcome, TrainOptions};
    use tch::{Device, Kind, Tensor};

    const TOKENS: i64 = 9;

    fn network(model: &str, options: &str) -> Network {
        let groups = vec![FeatureGroup::Tokens { length: TOKENS as usize, vocabulary: 60 }];
        let task = Task { groups, ..Task::new(InputShape(vec![TOKENS]), 2) };
        Network::new(model, options, &task, Device::Cpu, 3).unwrap()
    }

    /// The weights after three steps, and the numbers that the generator draws then.
    fn trained(network: &Network, precision: Precision) -> (Tensors, Tensor) {
        let options = TrainOptions { precision, accumulate: 2, ..TrainOptions::default() };
        let mut learner = Learner::new(&Plan { options, ..Plan::new(1, 4, 0.01) }, network).unwrap();
        tch::manual_seed(5);
        learner.start_epoch(network).unwrap();
        for step in 0..4i64 {
            let ids = Tensor::arange(4 * TOKENS, (Kind::Int64, Device::Cpu)) * (7 + step);
            let ids = (ids.remainder(58) + 2).view([4, TOKENS]).to_kind(Kind::Float);
            // The second text is short.
            let _ = ids.narrow(0, 1, 1).narrow(1, 4, 5).fill_(0.);
            let batch = crate::loader::Batch::new(ids, Tensor::from_slice(&[0i64, 1, 1, 0]));
            let outcome = learner.step(network, &batch, 0.01).unwrap();
            assert!(matches!(outcome, StepOutcome::Learned { .. }));
        }
        let state = network.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
        (state, Tensor::rand([3], (Kind::Float, Device::Cpu)))
    }

    #[test]
    fn blocks_that_are_computed_again_train_to_the_same_bits() {
        let small = "vocabulary=60,width=16,hidden=32,depth=3,heads=2,positions=16";
        let modern = "vocabulary=60,width=16,hidden=32,depth=4,heads=2,positions=16,window=4,length=9";
        let transformer = "rows=64,width=16,depth=3,heads=2";
        for (model, options) in [("transformer", transformer), ("bert", small), ("modernbert", modern)] {
            for dropout in ["0", "0.3"] {
                for precision in [Precision::F32, Precision::Bf16] {
                    for (is_frozen, lora) in [(false, 0), (true, 0), (false, 2)] {
                        if model == "transformer" && (lora > 0 || is_frozen) {
                            continue;
                        }
                        let mut options = format!("{options},dropout={dropout}");
                        if model != "transformer" {
                            options += &format!(",lora={lora}");
                        }
                        let [plain, checkpointed] = [0, 1].map(|_| {
                            let mut network = network(model, &options);
                            network.freeze(if is_frozen { first_of(model) } else { "" }).unwrap();
                            if lora > 0 {
                                network.train_only_adapters().unwrap();
                            }
                            network
                        });
                        checkpointed.recompute_blocks().unwrap();
                        let (expected, draws) = trained(&plain, precision);
                        let (found, found_draws) = trained(&checkpointed, precision);
                        assert_eq!(draws, found_draws);
                        for (name, tensor) in expected {
                            let case = format!("{model} {options} {precision:?} {is_frozen} {name}");
                            assert_eq!(tensor, found[&name], "{case}");
                        }
                    }
                }
            }
        }
    }

    /// The embeddings and the first block.
    fn first_of(model: &str) -> &'static str {
        match model {
            "bert" => "bert.embeddings,bert.encoder.layer.0",
            _ => "model.embeddings,model.layers.0",
        }
    }

    #[test]
    fn models_without_blocks_are_refused() {
        let problem = network("bow", "rows=64").recompute_blocks().unwrap_err().to_string();
        assert!(problem.contains("--gradient-checkpointing") && problem.contains("transformer"), "{problem}");
    }
}
