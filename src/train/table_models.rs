//! Models of tables against those of their authors' packages: tests/reference/tables.json, written by scripts/reference/tables.py.

use serde::Deserialize;
use tch::{Device, Kind, Tensor, nn};

use super::Objective;
use crate::data::InputShape;
use crate::data::column::FeatureGroup;
use crate::loader::Batch;
use crate::model::layer::{ColumnEmbedding, Layer, NumberEmbedding};
use crate::model::preprocessing::Quantiles;
use crate::model::{Network, Task, Tensors};

#[derive(Deserialize)]
struct Reference {
    tabm: Model,
    networks: std::collections::BTreeMap<String, Plain>,
    periodic: Embedding,
    quantiles: Mapped,
}

/// The parameters by name: size and values.
type State = std::collections::BTreeMap<String, (Vec<i64>, Vec<f32>)>;

#[derive(Deserialize)]
struct Model {
    options: String,
    state: State,
    inputs: Vec<Vec<f32>>,
    labels: Vec<i64>,
    probabilities: Vec<Vec<f32>>,
    loss: f64,
}

/// A network without members.
#[derive(Deserialize)]
struct Plain {
    options: String,
    state: State,
    inputs: Vec<Vec<f32>>,
    logits: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Embedding {
    state: State,
    inputs: Vec<Vec<f32>>,
    vectors: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Mapped {
    raw: Vec<f32>,
    mapped: Vec<f32>,
}

fn reference() -> Reference {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tables.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn tensors(state: &State) -> Tensors {
    state
        .iter()
        .map(|(name, (size, values))| (name.clone(), Tensor::from_slice(values).view(&size[..])))
        .collect()
}

fn close(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.size(), expected.size());
    let difference = (found - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{difference}");
}

/// The task of three numbers and two indicators in three classes.
fn task() -> Task {
    let mut groups = vec![FeatureGroup::Number; 3];
    groups.push(FeatureGroup::Indicators { count: 2 });
    Task { groups, ..Task::new(InputShape(vec![5]), 3) }
}

#[test]
fn tabm_has_the_probabilities_and_the_loss_of_its_authors_package() {
    let reference = reference().tabm;
    let mut network = Network::new("tabm", &reference.options, &task(), Device::Cpu, 0).unwrap();
    network.load_state(&tensors(&reference.state)).unwrap();
    let batch = Batch::new(Tensor::from_slice2(&reference.inputs), Tensor::from_slice(&reference.labels));
    let probabilities = network.forward(&batch.inputs, false).unwrap().softmax(-1, Kind::Float);
    close(&probabilities, &Tensor::from_slice2(&reference.probabilities));
    let objective = Objective::new("cross-entropy", "smoothing=0.1", None, Device::Cpu).unwrap();
    let members = network.forward(&batch.inputs, true).unwrap();
    assert!((objective.loss(&members, &batch).double_value(&[]) - reference.loss).abs() < 1e-5);
    // The losses of the examples have the same mean.
    let losses = objective.losses(&members, &batch).mean(Kind::Double).double_value(&[]);
    assert!((losses - reference.loss).abs() < 1e-5);
}

#[test]
fn other_models_of_tables_have_the_logits_of_their_references() {
    for (name, reference) in reference().networks {
        let mut network = Network::new(&name, &reference.options, &task(), Device::Cpu, 0).unwrap();
        let mut state = tensors(&reference.state);
        // The number of batches, which the logits do not depend on.
        let counters = network.state().into_iter().filter(|(name, _)| name.ends_with("num_batches_tracked"));
        state.extend(counters);
        network.load_state(&state).unwrap();
        let logits = network.forward(&Tensor::from_slice2(&reference.inputs), false).unwrap();
        close(&logits, &Tensor::from_slice2(&reference.logits));
    }
}

#[test]
fn periodic_embeddings_are_those_of_their_authors_package() {
    let reference = reference().periodic;
    let variables = nn::VarStore::new(Device::Cpu);
    let kind = NumberEmbedding::Periodic { width: 4, frequencies: 3 };
    let embedding = ColumnEmbedding::new(&variables.root(), &Task::new(InputShape(vec![3]), 2), kind, 4);
    let mut parameters = variables.variables();
    for (name, value) in tensors(&reference.state) {
        tch::no_grad(|| parameters.get_mut(&format!("numbers.{name}")).unwrap().copy_(&value));
    }
    let vectors = embedding.forward(&Tensor::from_slice2(&reference.inputs), false);
    close(&vectors, &Tensor::from_slice2(&reference.vectors));
}

#[test]
fn quantile_normalization_has_the_normal_scores_of_scipy() {
    let reference = reference().quantiles;
    let raw = Tensor::from_slice(&reference.raw).view([-1, 1]);
    let mapped = Quantiles::fit(&raw, &[FeatureGroup::Number]).apply(&raw);
    close(&mapped.view(-1), &Tensor::from_slice(&reference.mapped));
}
