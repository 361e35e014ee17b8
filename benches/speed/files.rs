//! Files that all contestants of a row start from: the rows of the data set, and the initial weights of the network.

use std::path::Path;

use cresset::model::preprocessing::TensorDataset;
use cresset::model::{Network, Tensors};
use tch::Tensor;

const DATA: &str = "data.safetensors";
const START: &str = "start.safetensors";

/// Writes inputs `x`, labels `y`, and the weights of `network` under their names.
pub fn write(folder: &Path, inputs: Tensor, labels: Tensor, network: &Network) {
    let write = |name: &str, tensors: &[(String, Tensor)]| {
        Tensor::write_safetensors(tensors, folder.join(name)).expect("the file can be written");
    };
    write(DATA, &[("x".into(), inputs), ("y".into(), labels)]);
    write(START, &network.state().into_iter().collect::<Vec<_>>());
}

/// Reads the rows, and loads the weights into `network`.
pub fn read(folder: &Path, network: &mut Network) -> TensorDataset {
    let read = |name: &str| -> Tensors {
        Tensor::read_safetensors(folder.join(name)).expect("the file can be read").into_iter().collect()
    };
    network.load_state(&read(START)).expect("the model's own weights");
    let mut data = read(DATA);
    let mut take = |name: &str| data.remove(name).expect("a tensor of this name");
    TensorDataset { inputs: take("x"), labels: take("y") }
}
