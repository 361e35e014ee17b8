//! Low-rank adaptation.

use tch::Tensor;
use tch::nn::{self, Init};

use crate::model::layer::Parameters;

/// The part of the names of the parameters by which they are found.
pub const ADAPTER: &str = ".lora_";

/// Factor of what an adapter adds: α / rank of the paper.
const SCALE: f64 = 2.;

/// What is added to the output of a fully connected layer whose weights are frozen: the product of two small matrices (Hu et al.,
/// "LoRA: Low-Rank Adaptation of Large Language Models", 2021). At first it is zero.
#[derive(Debug)]
pub struct Adapter {
    /// (rank, width).
    down: Tensor,
    /// (width, rank).
    up: Tensor,
}

impl Adapter {
    /// Creates `lora_A.weight` (rank, width) and `lora_B.weight` (width, rank) in `path`.
    pub fn new(path: &nn::Path, rank: i64, width: i64) -> Self {
        let bound = 1. / (width as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Adapter {
            down: (path / "lora_A").parameter("weight", &[rank, width], init),
            up: (path / "lora_B").parameter("weight", &[width, rank], Init::Const(0.)),
        }
    }

    /// What is added to the output for `x`, (…, width).
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear::<&Tensor>(&self.down, None).linear::<&Tensor>(&self.up, None) * SCALE
    }

    /// What is added to the weight of the layer, (width, width), for the same outputs.
    pub fn delta(&self) -> Tensor {
        tch::no_grad(|| self.up.matmul(&self.down) * SCALE)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Network, Task};
    use tch::{Device, Kind, Tensor};

    #[test]
    fn adapters_are_merged_into_the_weights_of_the_export() {
        for (model, options) in
            [("bert", "hidden=16"), ("roberta", "hidden=16,types=1"), ("modernbert", "hidden=16")]
        {
            let options = format!("vocabulary=50,width=8,depth=2,heads=2,lora=3,{options}");
            let network = Network::new(model, &options, &Task::of_texts(6, 2), Device::Cpu, 1).unwrap();
            let texts = Tensor::randint(40, [4, 6], (Kind::Float, Device::Cpu)) + 2.;
            let before = tch::no_grad(|| network.forward(&texts, false).unwrap());
            for (name, tensor) in network.state().into_iter().filter(|(name, _)| name.contains("lora_B")) {
                let _ = tch::no_grad(|| tensor.shallow_clone().normal_(0., 0.5));
                assert!(tensor.requires_grad(), "{name}");
            }
            let expected = tch::no_grad(|| network.forward(&texts, false).unwrap());
            assert!((&before - &expected).abs().max().double_value(&[]) > 1e-4, "{model}");
            let mut module = network.script(&|class| class).unwrap();
            module.set_training(false).unwrap();
            let found = &module.call("logits", &texts).unwrap()[0];
            assert!((found - expected).abs().max().double_value(&[]) < 1e-5, "{model}");
            assert!(module.parameters().unwrap().iter().all(|(name, _)| !name.contains("lora")), "{model}");
        }
    }

    #[test]
    fn only_adapters_and_the_last_layer_are_trained() {
        let task = Task::of_texts(6, 2);
        let options = "vocabulary=50,width=8,depth=1,hidden=16,lora=3";
        let mut network = Network::new("bert", options, &task, Device::Cpu, 1).unwrap();
        network.train_only_adapters().unwrap();
        let names: Vec<String> = network.parameters().into_keys().collect();
        let attention = "bert.encoder.layer.0.attention.self";
        let adapters = ["query.lora_A", "query.lora_B", "value.lora_A", "value.lora_B"];
        let adapters = adapters.map(|name| format!("{attention}.{name}.weight"));
        assert_eq!(names[..4], adapters);
        assert_eq!(names[4..], ["classifier.bias", "classifier.weight"]);
        let mut other = Network::new("bow", "rows=64", &task, Device::Cpu, 1).unwrap();
        assert!(
            other.train_only_adapters().unwrap_err().to_string().contains("--lora requires --pretrained")
        );
    }
}
