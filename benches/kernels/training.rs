//! Training steps.

use cresset::data::InputShape;
use cresset::data::column::FeatureGroup;
use cresset::loader::Batch;
use cresset::model::{Network, Task, Tensors};
use cresset::options::Config;
use cresset::train::optimizer::{Optimizer, Parameter};
use cresset::train::{Learner, Precision, StepOutcome, TrainOptions};
use cresset_bridge::kernels::Kernel;
use tch::{Device, Kind, Tensor};

use super::{Row, Work};

const CLASSES: i64 = 10;

/// A training job.
#[derive(Clone, Copy)]
struct Job {
    model: &'static str,
    options: &'static str,
    shape: [i64; 3],
    batch: i64,
    precision: Precision,
    threads: i32,
    steps: usize,
}

const MLP: Job = Job {
    model: "mlp",
    options: "",
    shape: [1, 8, 8],
    batch: 32,
    precision: Precision::F32,
    threads: 1,
    steps: 2000,
};
const WIDE_MLP: Job =
    Job { options: "width=512,depth=2", shape: [1, 28, 28], batch: 256, threads: 2, steps: 50, ..MLP };
const DROPOUT_MLP: Job = Job { options: "width=512,depth=2,dropout=0.1", ..WIDE_MLP };
const CNN: Job = Job { model: "cnn", batch: 64, steps: 20, ..MLP };
const LSTM: Job = Job { model: "lstm", shape: [1, 28, 28], batch: 64, threads: 2, steps: 10, ..MLP };
const SMALL_LSTM: Job = Job { options: "width=16", batch: 16, threads: 1, steps: 50, ..LSTM };
const VIT: Job = Job { model: "vit", shape: [3, 32, 32], batch: 64, threads: 2, steps: 2, ..MLP };
const RESNET: Job =
    Job { model: "resnet18", options: "stem=3", shape: [3, 32, 32], batch: 64, threads: 2, steps: 1, ..MLP };

/// The rows of the table.
pub fn rows() -> Vec<Row> {
    let job = |kernel, name, job: Job| Row::new(kernel, name, move || job.prepare());
    let bf16 = |job: Job| Job { precision: Precision::Bf16, ..job };
    vec![
        job(Kernel::MatrixProduct, "MLP of width 512 on 28×28, batch 256: step", WIDE_MLP),
        job(Kernel::MatrixProduct, "ViT-tiny on 32×32, batch 64: step", VIT),
        job(Kernel::Bernoulli, "MLP of width 512 with dropout, 28×28, batch 256: step", DROPOUT_MLP),
        job(Kernel::MlpTraining, "digits MLP, batch 32: step", MLP),
        job(Kernel::SmallAdam, "digits MLP, batch 32: step", MLP),
        job(Kernel::TensorMemory, "digits CNN, batch 64: step", CNN),
        job(Kernel::BatchNorm, "digits CNN, batch 64: step", CNN),
        job(Kernel::Bf16Convolution, "digits CNN, batch 64, bfloat16: step", bf16(CNN)),
        job(Kernel::BatchNorm, "digits CNN, batch 64, bfloat16: step", bf16(CNN)),
        job(Kernel::Lstm, "LSTM of width 16 on 28×28, batch 16: step", SMALL_LSTM),
        job(Kernel::Lstm, "LSTM on 28×28, batch 64: step", LSTM),
        job(Kernel::TensorMemory, "ViT-tiny on 32×32, batch 64: step", VIT).slow(),
        job(Kernel::TensorMemory, "ResNet-18 on 32×32, batch 64: step", RESNET).slow(),
        job(Kernel::BatchNorm, "ResNet-18 on 32×32, batch 64: step", RESNET).slow(),
        job(Kernel::Bf16Convolution, "ResNet-18 on 32×32, batch 64, bfloat16: step", bf16(RESNET)).slow(),
        Row::new(Kernel::EmbeddingBag, "bag of words, batch 32: step", bag_of_words),
        Row::new(Kernel::RowAdagrad, "bag of words, batch 32: step", bag_of_words),
        Row::new(Kernel::ColumnVectors, "click log, batch 4096: step", clicks),
        Row::new(
            Kernel::SubnormalFlush,
            "Adam, moments of 100,000 parameters subnormal: step",
            subnormal_adam,
        ),
    ]
}

impl Job {
    fn prepare(self) -> Work {
        tch::set_num_threads(self.threads);
        let task = Task::new(InputShape(self.shape.to_vec()), CLASSES);
        let mut network =
            Network::new(self.model, self.options, &task, Device::Cpu, 0).expect("a model of the registry");
        let training = TrainOptions { precision: self.precision, ..TrainOptions::default() };
        training.channels_last.lay_out(&mut network).expect("the memory format can be changed");
        let config = Config { batch_size: self.batch as u32, training, ..Config::default() };
        let mut learner = Learner::new(&config.plan(None), &network).expect("a plan");
        let sizes: Vec<i64> = [&[self.batch], &self.shape[..]].concat();
        let inputs = Tensor::rand(&sizes, (Kind::Float, Device::Cpu));
        let batch = Batch::new(inputs, Tensor::randint(CLASSES, [self.batch], (Kind::Int64, Device::Cpu)));
        Box::new(move || {
            for _ in 0..self.steps {
                let outcome = learner.step(&network, &batch, 1e-4).expect("a step");
                assert!(matches!(outcome, StepOutcome::Learned { .. }), "a finite loss");
            }
            self.steps
        })
    }
}

/// Texts of about 400 words among 60,000, as mails: a word is the rarer the longer it is looked for.
fn bag_of_words() -> Work {
    const BATCH: i64 = 32;
    const LENGTH: i64 = 400;
    const VOCABULARY: f64 = 60_000.;
    tch::set_num_threads(1);
    let groups = vec![FeatureGroup::Tokens { length: LENGTH as usize, vocabulary: 1 << 30 }];
    let task = Task { groups, ..Task::new(InputShape(vec![LENGTH]), 2) };
    let network = Network::new("bow", "width=2", &task, Device::Cpu, 0).expect("a model of the registry");
    let config = Config { batch_size: BATCH as u32, ..Config::default() };
    let mut learner = Learner::new(&config.plan(None), &network).expect("a plan");
    let ranks = (Tensor::rand([BATCH, LENGTH], (Kind::Float, Device::Cpu)) * VOCABULARY.ln()).exp();
    // Scattered over the table, as hashed words are.
    let ids = (ranks.ceil() * 7_919.).remainder(16_777_213.);
    let batch = Batch::new(ids, Tensor::randint(2, [BATCH], (Kind::Int64, Device::Cpu)));
    Box::new(move || {
        const STEPS: usize = 50;
        for _ in 0..STEPS {
            let outcome = learner.step(&network, &batch, 1e-4).expect("a step");
            assert!(matches!(outcome, StepOutcome::Learned { .. }), "a finite loss");
        }
        STEPS
    })
}

/// Rows of a click log in the shape of Criteo's.
fn clicks() -> Work {
    const BATCH: i64 = 4096;
    const DENSE: [usize; 11] = [1460, 583, 305, 12_517, 633, 5683, 3194, 14_992, 5652, 2173, 105];
    const SPARSE: [usize; 8] = [100_000, 50_000, 93_145, 80_000, 60_000, 70_000, 90_000, 100_000];
    const INDICATORS: usize = 101;
    tch::set_num_threads(2);
    let categories = DENSE.into_iter().chain(SPARSE);
    let groups: Vec<_> = std::iter::repeat_n(FeatureGroup::Number, 13)
        .chain(categories.clone().map(|categories| FeatureGroup::Code { categories }))
        .chain([FeatureGroup::Indicators { count: INDICATORS }])
        .collect();
    let features = 13 + categories.clone().count() + INDICATORS;
    let task = Task { groups, ..Task::new(InputShape(vec![features as i64]), 2) };
    let network = Network::new("mlp", "", &task, Device::Cpu, 0).expect("a model of the registry");
    let config = Config { batch_size: BATCH as u32, ..Config::default() };
    let mut learner = Learner::new(&config.plan(None), &network).expect("a plan");
    let random = |width: i64| Tensor::rand([BATCH, width], (Kind::Float, Device::Cpu));
    let mut parts = vec![random(13)];
    // The first categories are the most frequent.
    parts.extend(categories.map(|count| (random(1).pow_tensor_scalar(3) * count as f64).floor()));
    parts.push(random(INDICATORS as i64));
    let batch = Batch::new(Tensor::cat(&parts, 1), Tensor::randint(2, [BATCH], (Kind::Int64, Device::Cpu)));
    Box::new(move || {
        const STEPS: usize = 20;
        for _ in 0..STEPS {
            let outcome = learner.step(&network, &batch, 1e-4).expect("a step");
            assert!(matches!(outcome, StepOutcome::Learned { .. }), "a finite loss");
        }
        STEPS
    })
}

/// Adam steps with zero gradients and subnormal moments, as for units whose output is always zero.
fn subnormal_adam() -> Work {
    tch::set_num_threads(1);
    let options = (Kind::Float, Device::Cpu);
    let mut tensor = Tensor::rand([100_000], options).set_requires_grad(true);
    (&tensor * 0.).sum(Kind::Float).backward();
    let name = "weight".to_string();
    let parameter =
        Parameter { name, tensor: tensor.shallow_clone(), rate: 1., is_head: false, is_sparse: false };
    let mut optimizer = Optimizer::new("adam", "", 0., &[parameter]).expect("an optimizer");
    let state = optimizer.state().iter();
    let subnormal: Tensors = state.map(|(name, value)| (name.clone(), value.full_like(1e-40))).collect();
    optimizer.load_state(&subnormal).expect("a valid state");
    Box::new(move || {
        const STEPS: usize = 200;
        (0..STEPS).for_each(|_| optimizer.step(1e-3).expect("a step"));
        assert!(tensor.grad().defined());
        tensor = tensor.shallow_clone();
        STEPS
    })
}
