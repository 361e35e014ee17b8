//! Networks of every architecture: names, shapes, costs, initialization, export and gradients.

use tch::{Device, Kind, Tensor};

use super::*;
use crate::data::column::FeatureGroup;
use crate::data::{InputShape, TaskKind};
use crate::evaluate::cross_entropy;
use crate::loader::Batch;
use crate::train::Objective;

#[path = "../../tests/support/sizes.rs"]
pub mod sizes;

fn digits_mlp(seed: u64) -> Network {
    let task = Task::new(InputShape(vec![1, 8, 8]), 10);
    Network::new("mlp", "", &task, Device::Cpu, seed).unwrap()
}

#[test]
fn parameters_have_pytorchs_names() {
    let network = digits_mlp(0);
    let names: Vec<_> = network.state().into_keys().collect();
    assert_eq!(names, ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"]);
    assert_eq!(network.parameter_count(), 64 * 128 + 128 + 128 * 10 + 10);
}

/// The architectures for images, without those that only have more or wider layers.
fn images() -> impl Iterator<Item = &'static Architecture> {
    ARCHITECTURES.iter().filter(|known| sizes::is_for_images(known.name) && !sizes::is_larger(known.name))
}

/// Two columns with three categories each, between three numbers.
fn columns() -> Task {
    let category = FeatureGroup::Indicators { count: 3 };
    let groups =
        vec![FeatureGroup::Number, category.clone(), FeatureGroup::Number, category, FeatureGroup::Number];
    Task { groups, ..Task::new(InputShape(vec![9]), 4) }
}

#[test]
fn models_of_tables_export_with_a_free_batch_size_for_every_task() {
    let numbers = Task::new(InputShape(vec![6]), 3);
    let labels = Task { kind: TaskKind::Multilabel, ..columns() };
    let value = Task { kind: TaskKind::Regression, classes: 1, ..columns() };
    let coded = vec![FeatureGroup::Code { categories: 3 }, FeatureGroup::Indicators { count: 5 }];
    let coded = Task { groups: coded, ..numbers.clone() };
    let only_categories = Task { groups: vec![FeatureGroup::Indicators { count: 6 }], ..numbers.clone() };
    for task in [numbers, coded, only_categories, columns(), labels, value] {
        for name in [sizes::FOR_TABLES, &["mlp"]].concat() {
            for network in [
                Network::new(name, "", &task, Device::Cpu, 1).unwrap(),
                Network::bag(name, "", &task, 3, (Device::Cpu, 1)).unwrap(),
            ] {
                exports(&network, &task, name);
            }
        }
    }
}

/// The exported network has the outputs of the network for several batch sizes.
fn exports(network: &Network, task: &Task, name: &str) {
    let mut module = network.script(&|class| class).unwrap();
    module.set_training(false).unwrap();
    for batch in [1, 2, 64] {
        let x = Tensor::randn([batch, task.input.features()], (Kind::Float, Device::Cpu));
        let outputs = tch::no_grad(|| network.forward(&x, false).unwrap());
        assert_eq!(outputs.size(), [batch, task.classes]);
        let of_file = tch::no_grad(|| module.call("logits", &x).unwrap().remove(0));
        assert_eq!(outputs, of_file, "{name} {task:?} {batch}");
    }
}

#[test]
fn a_bag_of_each_small_architecture_for_images_is_exported() {
    for architecture in images().filter(|known| sizes::is_small(known.name)) {
        let task = Task::new(InputShape(vec![1, 8, 8]), 7);
        let bag = Network::bag(architecture.name, "", &task, 2, (Device::Cpu, 1)).unwrap();
        let module = bag.script(&|class| class).unwrap();
        let x = Tensor::randn([3, 1, 8, 8], (Kind::Float, Device::Cpu));
        let members = tch::no_grad(|| module.call("member_logits", &x).unwrap().remove(0));
        assert_eq!(members.size(), [3, 2, 7], "{}", architecture.name);
        // The features of the second member, after those of the first.
        let single = Network::new(architecture.name, "", &task, Device::Cpu, 0).unwrap();
        single.state().iter().for_each(|(name, tensor)| {
            tensor.shallow_clone().set_data(&bag.state()[&format!("bag.member2.{name}")].detach());
        });
        let features = |network: &Network| {
            let mut module = network.script(&|class| class).unwrap();
            module.set_training(false).unwrap();
            tch::no_grad(|| module.call("penultimate", &x).unwrap().remove(0).flatten(1, -1))
        };
        let (all, own) = (features(&bag), features(&single));
        assert_eq!(all.narrow(1, own.size()[1], own.size()[1]), own, "{}", architecture.name);
        assert_eq!(bag.summary(&task.input).last().unwrap().output, [1, 7], "{}", architecture.name);
    }
}

#[test]
fn models_of_texts_export_with_any_number_of_texts_and_tokens() {
    let task = Task::of_texts(12, 3);
    for name in [sizes::FOR_TEXTS, &["lstm", "gru"]].concat() {
        let network = Network::new(name, "", &task, Device::Cpu, 1).unwrap();
        let mut module = network.script(&|class| class).unwrap();
        module.set_training(false).unwrap();
        for (texts, tokens) in [(1, 12), (2, 5), (64, 12)] {
            let ids = Tensor::randint_low(0, 9_000, [texts, tokens], (Kind::Float, Device::Cpu));
            // Texts of different lengths, one of them empty.
            let lengths = Tensor::arange(texts, (Kind::Int64, Device::Cpu)).remainder(tokens).unsqueeze(1);
            let ids = ids * Tensor::arange(tokens, (Kind::Int64, Device::Cpu)).lt_tensor(&lengths);
            let outputs = tch::no_grad(|| network.forward(&ids, false).unwrap());
            assert_eq!(outputs.size(), [texts, 3]);
            let of_file = tch::no_grad(|| module.call("logits", &ids).unwrap().remove(0));
            assert_eq!(outputs, of_file, "{name} {texts} {tokens}");
            // Padding changes nothing.
            let padded =
                tch::no_grad(|| network.forward(&ids.constant_pad_nd([0, 12 - tokens]), false).unwrap());
            assert!(outputs.allclose(&padded, 1e-4, 1e-5, false), "{name} {texts} {tokens}");
        }
        let problem =
            Network::new(name, "", &Task::new(InputShape(vec![9]), 3), Device::Cpu, 0).err().unwrap();
        assert!(problem.to_string().contains("is for "), "{problem}");
    }
}

#[test]
fn models_of_tables_refuse_images() {
    for name in sizes::FOR_TABLES {
        let task = Task::new(InputShape(vec![1, 8, 8]), 10);
        let problem = Network::new(name, "", &task, Device::Cpu, 0).err().unwrap().to_string();
        assert!(problem.contains("is for tables"), "{problem}");
    }
}

#[test]
fn every_architecture_takes_any_image_and_exports_with_a_free_batch_size() {
    for architecture in images() {
        let (shapes, batches) = match sizes::is_small(architecture.name) {
            true => (&[[1, 8, 8], [3, 32, 32], [2, 1, 9], [4, 37, 20]][..], &[1, 2, 64][..]),
            false => (&[[2, 1, 9], [4, 37, 20]][..], &[1, 3][..]),
        };
        for shape in shapes {
            let task = Task::new(InputShape(shape.to_vec()), 7);
            let network = Network::new(architecture.name, "", &task, Device::Cpu, 1).unwrap();
            let mut module = network.script(&|class| class).unwrap();
            module.set_training(false).unwrap();
            for &batch in batches {
                let x = Tensor::randn([batch, shape[0], shape[1], shape[2]], (Kind::Float, Device::Cpu));
                let logits = tch::no_grad(|| network.forward(&x, false).unwrap());
                assert_eq!(logits.size(), [batch, 7]);
                let of_file = tch::no_grad(|| module.call("logits", &x).unwrap().remove(0));
                assert_eq!(logits, of_file, "{} {shape:?} {batch}", architecture.name);
            }
        }
    }
}

#[test]
fn every_architecture_learns() {
    images().for_each(|architecture| learns(architecture, &Task::new(InputShape(vec![3, 32, 32]), 3), 8));
}

#[test]
fn models_of_tables_learn() {
    let tables = ARCHITECTURES.iter().filter(|known| sizes::is_for_tables(known.name));
    tables.for_each(|architecture| learns(architecture, &columns(), 12));
}

/// Takes at most `steps` steps on random examples: each parameter has a gradient, and the loss decreases. Random dropout may let it
/// increase at first.
fn learns(architecture: &Architecture, task: &Task, steps: usize) {
    let network = Network::new(architecture.name, "", task, Device::Cpu, 1).unwrap();
    let objective = Objective::new("cross-entropy", "", None, Device::Cpu).unwrap();
    let size = [&[6], &task.input.0[..]].concat();
    let x = Tensor::randn(size, (Kind::Float, Device::Cpu));
    let batch = Batch::new(x, Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2]));
    let mut losses = Vec::new();
    for _ in 0..steps {
        let loss = objective.loss(&network.forward(&batch.inputs, true).unwrap(), &batch);
        losses.push(loss.double_value(&[]));
        if losses.last() < Some(&(0.95 * losses[0])) {
            return;
        }
        loss.backward();
        for (name, mut parameter) in network.parameters() {
            let mut gradient = parameter.grad();
            assert!(gradient.defined(), "{}: {name} has no gradient", architecture.name);
            // Steps of equal size, like those of Adam.
            tch::no_grad(|| drop(parameter.g_sub_(&(gradient.sign() * 1e-3))));
            let _ = gradient.zero_();
        }
    }
    panic!("{}: {losses:?}", architecture.name);
}

#[test]
fn architectures_with_several_convolutions_are_convolutional() {
    let task = Task::new(InputShape(vec![1, 8, 8]), 3);
    for architecture in ARCHITECTURES.iter().filter(|known| sizes::is_for_images(known.name)) {
        let network = Network::of_zeros(architecture.name, "", &task).unwrap();
        let is_other = ["mlp", "lstm", "gru", "swin_t"].contains(&architecture.name);
        let expected = !is_other && !architecture.name.starts_with("vit");
        assert_eq!(network.is_convolutional(), expected, "{}", architecture.name);
    }
}

/// Parameters of the networks of torchvision (vit: vit_b_16) and timm with 1000 classes; multiply-adds of PyTorch's
/// `FlopCounterMode`, which counts each as two operations. It passes over fused attention; with it, 197 tokens of 768
/// values cost 12 · (12 · 197 · 768² + 2 · 197² · 768) in the blocks, 196 · 768² before and 768 · 1000 after.
#[test]
fn sizes_and_costs_are_those_of_torchvision_and_timm() {
    let vit = "patch=16,width=768,depth=12,heads=12";
    for (name, options, parameters, multiply_adds) in [
        ("resnet18", "", 11_689_512, 1_814_073_344),
        ("resnet34", "", 21_797_672, 3_663_761_408),
        ("resnet50", "", 25_557_032, 4_089_184_256),
        ("vit", vit, 86_567_656, 17_563_828_224),
        ("resnet101", "", 44_549_160, 7_801_405_440),
        ("resnet50d", "", 25_576_264, 4_328_824_832),
        ("regnety_004", "", 4_344_144, 401_842_848),
        ("efficientnet_b0", "", 5_288_548, 385_814_752),
        ("efficientnet_lite0", "", 4_652_008, 385_187_552),
        ("mobilenetv3_large_100", "", 5_483_032, 216_589_760),
        ("mobilenetv4_conv_small", "", 3_774_024, 186_005_568),
        ("convnext_tiny", "", 28_589_128, 4_455_531_264),
        ("swin_t", "", 28_288_354, 4_490_566_656),
    ] {
        let task = Task::new(InputShape(vec![3, 224, 224]), 1000);
        let network = Network::of_zeros(name, options, &task).unwrap();
        let rows = network.summary(&task.input);
        assert_eq!(network.parameter_count(), parameters, "{name}");
        assert_eq!(rows.iter().map(|row| row.parameters).sum::<usize>(), parameters, "{name}");
        assert_eq!(rows.iter().map(|row| row.multiply_adds).sum::<u64>(), multiply_adds, "{name}");
    }
}

#[test]
fn frozen_parameters_stay_frozen() {
    let mut network = digits_mlp(0);
    assert_eq!(network.freeze("fc1.weight").unwrap(), 64 * 128);
    network.train_only_head(true);
    network.train_only_head(false);
    let trained: Vec<_> = network.parameters().into_keys().collect();
    assert_eq!(trained, ["fc1.bias", "fc2.bias", "fc2.weight"]);
    assert!(!network.state()["fc1.weight"].requires_grad() && network.state()["fc1.bias"].requires_grad());
}

#[test]
fn the_seed_determines_the_initial_weights() {
    assert_eq!(digits_mlp(1).state()["fc1.weight"], digits_mlp(1).state()["fc1.weight"]);
    assert_ne!(digits_mlp(1).state()["fc1.weight"], digits_mlp(2).state()["fc1.weight"]);
}

#[test]
fn mismatched_state_is_refused_by_name() {
    let mut state = digits_mlp(0).state();
    state.insert("fc3.weight".into(), Tensor::from(0f32));
    assert_eq!(digits_mlp(1).load_state(&state).unwrap_err(), "the model has no tensor `fc3.weight`");
    state.remove("fc3.weight");
    state.insert("fc2.bias".into(), Tensor::zeros([3], (Kind::Float, Device::Cpu)));
    assert!(digits_mlp(1).load_state(&state).unwrap_err().contains("`fc2.bias` is [3]"));
    state.remove("fc2.bias");
    assert_eq!(digits_mlp(1).load_state(&state).unwrap_err(), "the tensor `fc2.bias` is missing");
}

/// Central differences in float64 against autograd, for every parameter of a small perceptron.
#[test]
fn autograd_agrees_with_finite_differences() {
    let task = Task::new(InputShape(vec![1, 2, 2]), 3);
    let mut network = Network::new("mlp", "", &task, Device::Cpu, 3).unwrap();
    network.double();
    let x = Tensor::randn([6, 1, 2, 2], (Kind::Double, Device::Cpu));
    let y = Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2]);
    let loss = || cross_entropy(&network.forward(&x, true).unwrap(), &y);
    loss().backward();
    let step = 1e-6;
    for (name, parameter) in network.parameters() {
        let gradient = Vec::<f64>::try_from(parameter.grad().view(-1)).unwrap();
        let flat = parameter.detach().view(-1);
        for (index, analytic) in gradient.iter().enumerate() {
            let at = |shift: f64| {
                let mut value = flat.get(index as i64);
                let _ = value.g_add_scalar_(shift);
                let at = tch::no_grad(|| loss().double_value(&[]));
                let _ = value.g_add_scalar_(-shift);
                at
            };
            let numeric = (at(step) - at(-step)) / (2. * step);
            let error = (numeric - analytic).abs();
            assert!(error < 1e-7, "{name}[{index}]: autograd {analytic}, differences {numeric}");
        }
    }
}
