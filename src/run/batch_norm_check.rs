//! Checks that batch normalization can train on the smallest batch of a run.

use tch::{Kind, Tensor};

use crate::distributed::World;
use crate::error::{Error, Result};
use crate::loader::{Pass, TrainLoader};
use crate::model::{Network, Tensors};
use crate::options::Config;

/// Rejects batch normalization over a single value, which has no variance: the running statistics
/// would become NaN, and with them all outputs in evaluation mode. A trial forward pass detects this for any model.
/// All ranks of `world` must call it.
///
/// # Errors
/// Names the layer and the remedy.
pub(super) fn check(
    network: &Network,
    train: &dyn TrainLoader,
    config: &Config,
    world: &World,
) -> Result<()> {
    let (rows, processes) = (train.rows(), world.size());
    let pass = Pass { processes, ..Pass::new(1, config.batch_size, config.seed) };
    if pass.smallest_local_batch(rows) != 1 {
        return Ok(());
    }
    let Some(layer) = failing_layer(network)? else { return Ok(()) };
    let remedy = match (config.batch_size, rows) {
        (_, 1) => {
            "there is only one training example, and batch normalization needs at least two".to_string()
        }
        (1, _) => "use --batch-size 2 or more, or a model without batch normalization".to_string(),
        _ => format!(
            "with {processes} processes, some ranks have only one of the {rows} training examples in a batch; start fewer processes"
        ),
    };
    Err(Error::Usage(format!(
        "{layer} uses batch normalization, which cannot be trained with a single value per channel, as in a batch of one example: \
         {remedy}"
    )))
}

/// The layer whose running statistics become NaN or infinite after a batch of one example. Restores the network and the
/// random generators.
fn failing_layer(network: &Network) -> Result<Option<String>> {
    let buffers: Tensors =
        network.state().into_iter().filter(|(name, _)| !network.is_parameter(name)).collect();
    let before: Vec<Tensor> = buffers.values().map(Tensor::copy).collect();
    let generator = cresset_bridge::random::cpu_generator_state()?;
    let device = network.device();
    let of_device = match device.is_cuda() {
        true => Some(cresset_bridge::random::cuda_generator_state(device)?),
        false => None,
    };
    let size: Vec<i64> = std::iter::once(1).chain(network.task().input.0.iter().copied()).collect();
    let example = Tensor::zeros(size, (Kind::Float, device));
    let forward = tch::no_grad(|| crate::error::catch_panics(|| network.forward(&example, true)));
    let is_broken = |(_, tensor): &(&String, &Tensor)| tensor.isfinite().all().int64_value(&[]) == 0;
    let broken = buffers.iter().find(is_broken).map(|(name, _)| layer_of(name));
    tch::no_grad(|| buffers.into_values().zip(&before).for_each(|(mut own, before)| own.copy_(before)));
    cresset_bridge::random::set_cpu_generator_state(&generator)?;
    if let Some(state) = of_device {
        cresset_bridge::random::set_cuda_generator_state(device, &state)?;
    }
    match forward {
        // The message of PyTorch's own modules if they were scripted, not traced.
        Err(error) if error.to_string().contains("more than 1 value per channel") => {
            Ok(Some("a layer of the model".to_string()))
        }
        // Training reports other errors with more context.
        _ => Ok(broken),
    }
}

/// The layer of a buffer for an error message.
fn layer_of(buffer: &str) -> String {
    let layer = buffer.rsplit_once('.').map_or(buffer, |(layer, _)| layer);
    format!("the layer `{layer}` of the model")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::loader::{MemoryExamples, MemoryLoader, Sampling};
    use crate::model::Task;
    use crate::model::preprocessing::TensorDataset;
    use tch::{Device, nn};

    fn network(architecture: &str, size: i64) -> Network {
        let task = Task::new(InputShape(vec![3, size, size]), 2);
        Network::new(architecture, "", &task, Device::Cpu, 1).unwrap()
    }

    fn checked(network: &Network, rows: i64, batch_size: u32) -> Result<()> {
        let inputs = Tensor::zeros([rows, 1], (Kind::Float, Device::Cpu));
        let labels = Tensor::zeros([rows], (Kind::Int64, Device::Cpu));
        let feed = MemoryLoader::new(
            MemoryExamples::ready(TensorDataset { inputs, labels }),
            Sampling::Shuffled,
            None,
        );
        let config = Config { batch_size, ..Config::default() };
        check(network, &feed, &config, &World::alone())
    }

    #[test]
    fn a_map_of_one_value_needs_two_examples_and_a_larger_one_does_not() {
        let small = network("resnet18", 32);
        let said = checked(&small, 40, 1).unwrap_err().to_string();
        assert!(said.contains("`layer4.0.bn1`") && said.contains("--batch-size 2 or more"), "{said}");
        let said = checked(&small, 1, 32).unwrap_err().to_string();
        assert!(said.contains("only one training example"), "{said}");
        for (rows, batch_size) in [(2, 2), (3, 2), (33, 32), (34, 3)] {
            checked(&small, rows, batch_size).unwrap();
        }
        checked(&network("resnet18", 64), 40, 1).unwrap();
        checked(&network("mlp", 32), 1, 1).unwrap();
    }

    #[test]
    fn models_of_any_origin_are_tried() {
        let task = Task::new(InputShape(vec![4]), 2);
        let build = |path: &nn::Path| {
            let norm = nn::batch_norm1d(path / "norm", 4, Default::default());
            let linear = nn::linear(path / "fc", 4, 2, Default::default());
            move |x: &Tensor, train: bool| x.apply_t(&norm, train).apply(&linear)
        };
        let network = Network::of(&task, Device::Cpu, 1, build).unwrap();
        let said = checked(&network, 10, 1).unwrap_err().to_string();
        assert!(said.contains("the layer `norm`"), "{said}");
        checked(&network, 11, 5).unwrap();
    }

    #[test]
    fn trying_leaves_no_trace() {
        let network = network("resnet18", 32);
        let before: Vec<Tensor> = network.state().values().map(Tensor::copy).collect();
        tch::manual_seed(5);
        assert!(failing_layer(&network).unwrap().is_some());
        let drawn = Tensor::rand([3], (Kind::Float, Device::Cpu));
        tch::manual_seed(5);
        assert_eq!(drawn, Tensor::rand([3], (Kind::Float, Device::Cpu)));
        assert_eq!(network.state().into_values().collect::<Vec<_>>(), before);
    }
}
