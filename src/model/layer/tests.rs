use cresset_bridge::script::Module;
use tch::{Device, Kind, nn};

use super::*;
use crate::data::column::FeatureGroup;
use crate::data::{InputShape, TaskKind};
use crate::model::Task;

/// The same outputs from Rust and from TorchScript, in both modes and at several batch sizes.
fn check(layer: impl Layer + 'static, shape: &[i64]) {
    let layers = Sequential::default().then("layer", layer);
    let (source, name, values) = layers.class("Only", "forward").compile().unwrap();
    let mut module = Module::from_source(&source, &name, &values).unwrap();
    for train in [true, false] {
        module.set_training(train).unwrap();
        for batch in [1, 2, 64] {
            let sizes: Vec<i64> = std::iter::once(batch).chain(shape.iter().copied()).collect();
            let x = Tensor::randn(sizes, (Kind::Float, Device::Cpu));
            // Both drop the same values.
            tch::manual_seed(5);
            let ours = layers.forward(&x, train);
            tch::manual_seed(5);
            assert_eq!(
                ours,
                module.call("forward", &x).unwrap()[0],
                "train {train}, batch {batch}:\n{source}"
            );
        }
    }
}

#[test]
fn every_layer_computes_the_same_in_rust_and_in_torchscript() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let path = |name: &str| &root / name;
    check(Relu, &[5]);
    check(Gelu, &[5]);
    check(ReGlu, &[3, 6]);
    check(Dropout(0.3), &[50]);
    for activation in [
        Activation::Relu6,
        Activation::Silu,
        Activation::HardSwish,
        Activation::Sigmoid,
        Activation::HardSigmoid,
        Activation::Tanh,
    ] {
        check(activation, &[5, 7]);
    }
    check(StochasticDepth::new(0.4, 2), &[5]);
    check(StochasticDepth::new(0.4, 4), &[3, 2, 2]);
    check(LayerScale::tokens(&path("scale"), "gamma", 8, 0.5), &[5, 8]);
    check(LayerScale::image(&path("scale_image"), "gamma", 3, 0.5), &[3, 4, 4]);
    check(Linear::new(&path("linear"), 5, 3), &[5]);
    check(Linear::xavier(&path("xavier"), 5, 3), &[7, 5]);
    check(Linear::normal(&path("normal"), 5, 3), &[7, 5]);
    check(Linear::without_bias(&path("without_bias"), 5, 3), &[7, 5]);
    check(Convolution::new(2, 3, 3).bias().make(&path("conv")), &[2, 5, 6]);
    check(Convolution::new(2, 3, 7).stride(2).make_he(&path("strided")), &[2, 9, 8]);
    check(Convolution::new(2, 3, 4).patches().bias().make(&path("patches")), &[2, 8, 8]);
    check(Convolution::depthwise(3, 5).bias().make_normal(&path("depthwise")), &[3, 5, 6]);
    check(Convolution::new(4, 6, 3).groups(2).stride(2).make_he(&path("grouped")), &[4, 5, 6]);
    check(BatchNorm2d::new(&path("batch_norm"), 3), &[3, 4, 4]);
    check(BatchNorm2d::with_eps(&path("batch_norm_eps"), 3, 1e-3), &[3, 4, 4]);
    check(LayerNorm::new(&path("layer_norm"), 8), &[4, 8]);
    check(LayerNorm2d::new(&path("layer_norm_2d"), 3), &[3, 4, 5]);
    check(MaxPool2d::new(3, 2, 1), &[2, 7, 6]);
    check(MaxPool2d::halving(1, 9), &[2, 1, 9]);
    check(HalvingAverage, &[2, 7, 6]);
    check(GlobalAverage, &[3, 4, 5]);
    check(GlobalMax, &[3, 4, 5]);
    for (index, cell) in [RecurrentCell::Lstm, RecurrentCell::Gru].into_iter().enumerate() {
        check(Recurrent::new(&path(&format!("one{index}")), cell, 6, 5, 1, 0.5), &[7, 6]);
        check(Recurrent::new(&path(&format!("two{index}")), cell, 6, 5, 2, 0.5), &[7, 6]);
    }
    check(SelfAttention::new(&path("attention"), 8, 2, 0.), &[5, 8]);
    check(SelfAttention::timm(&path("attention_timm"), 8, 2, true), &[5, 8]);
    let rotation = Rotation::new(Grid { rows: 2, columns: 3, prefix: 2 }, 8);
    check(SelfAttention::timm(&path("attention_rotary"), 16, 2, false).rotating(rotation), &[8, 16]);
    check(WindowAttention::new(&path("windows"), 8, 2, [9, 5], false), &[9, 5, 8]);
    check(WindowAttention::new(&path("shifted"), 8, 2, [9, 14], true), &[9, 14, 8]);
    check(MergePatches { size: [5, 4] }, &[5, 4, 3]);
    check(Flatten, &[1, 8, 8]);
    check(RowSequence, &[3, 8, 6]);
    check(ChannelsLast, &[3, 4, 5]);
    check(ChannelsFirst, &[4, 5, 3]);
    check(Tokens, &[3, 4, 4]);
    check(SelectElement(-1), &[4, 3]);
    check(SequenceMean, &[4, 3]);
    check(ZeroPad { top: 3, left: 1, bottom: 2, right: 1 }, &[2, 6, 7]);
    check(SkipElements(2), &[5, 3]);
    let grid = Grid { rows: 2, columns: 3, prefix: 1 };
    check(PrefixTokens::new(&path("token"), "class_token", 1, 6), &[4, 6]);
    check(PrefixTokens::normal(&path("registers"), "reg_token", 4, 6), &[4, 6]);
    check(PositionEmbedding::new(&path("position"), "pos_embed", grid, 6), &[7, 6]);
    for (index, (columns, has_pooler, frame)) in [
        (1, false, PairFrame::OneSeparator),
        (2, true, PairFrame::OneSeparator),
        (2, false, PairFrame::TwoSeparators),
    ]
    .into_iter()
    .enumerate()
    {
        let encoder = encoder(&path(&format!("encoder{index}")), columns, has_pooler, frame);
        check_texts(encoder, columns);
    }
    for columns in [1, 2] {
        check_texts(modern_encoder(&path(&format!("modern{columns}")), columns), columns);
    }
    check(RepeatMembers(3), &[5]);
    check(CrossNetwork::new(&path("cross"), 5, 2), &[5]);
    check(FactorizationMachine::new(&path("fm"), 4, 3), &[5, 7]);
    check(FieldVectors(4), &[5, 7]);
    for scaling in [InputScaling::Ones, InputScaling::Signs, InputScaling::Normal] {
        check(EnsembleLinear::new(&path(&format!("ensemble{scaling:?}")), 5, 4, 3, scaling), &[3, 5]);
    }
    for kind in [TaskKind::Classification, TaskKind::Multilabel, TaskKind::Regression] {
        check(EnsembleHead::new(&path(&format!("head{kind:?}")), 5, 4, 3, kind), &[3, 5]);
        // A bag of networks, and one of networks that have members themselves.
        let linear = |number: usize| Linear::new(&path(&format!("bag{kind:?}{number}")), 5, 4);
        let networks = (1..=3).map(|number| Sequential::default().then("fc", linear(number)));
        check(Bag::new(networks.collect(), kind), &[5]);
        let head = |number: usize| EnsembleHead::new(&path(&format!("bags{kind:?}{number}")), 5, 4, 2, kind);
        let networks = (1..=3)
            .map(|number| Sequential::default().then("members", RepeatMembers(2)).then("head", head(number)));
        check(Bag::new(networks.collect(), kind), &[5]);
    }
    let coded = vec![
        FeatureGroup::Code { categories: 3 },
        FeatureGroup::Number,
        FeatureGroup::Code { categories: 2 },
        FeatureGroup::Indicators { count: 2 },
    ];
    let hashed = vec![
        FeatureGroup::Code { categories: 40_000 },
        FeatureGroup::Number,
        FeatureGroup::Code { categories: 2 },
        FeatureGroup::Code { categories: 50_000 },
        FeatureGroup::Number,
    ];
    let mixed = vec![
        FeatureGroup::Number,
        FeatureGroup::Indicators { count: 2 },
        FeatureGroup::Number,
        FeatureGroup::Number,
    ];
    for (index, groups) in [mixed, coded, hashed, vec![FeatureGroup::Indicators { count: 5 }], Vec::new()]
        .into_iter()
        .enumerate()
    {
        let task = Task { groups, ..Task::new(InputShape(vec![5]), 2) };
        check(ColumnTokens::new(&path(&format!("tokens{index}")), &task, 4), &[5]);
        check(ColumnTokens::without_bias(&path(&format!("fields{index}")), &task, 4), &[5]);
        for (place, kind) in [
            NumberEmbedding::None,
            NumberEmbedding::Linear { width: 4 },
            NumberEmbedding::Piecewise { width: 4, bins: 6 },
            NumberEmbedding::Periodic { width: 4, frequencies: 3 },
        ]
        .into_iter()
        .enumerate()
        {
            check(ColumnEmbedding::new(&path(&format!("columns{index}{place}")), &task, kind, 4), &[5]);
        }
    }
    check(neighbors(&path("neighbors"), 4), &[6]);
    check(Neighbors::new(&path("empty"), 6, 5, 0.07), &[6]);
}

/// The same outputs of an encoder of texts of six tokens, some of them padding. Pairs are without, because Rust leaves it out.
fn check_texts(layer: impl Layer + 'static, columns: usize) {
    match columns {
        1 => check(layer, &[6]),
        _ => check(Sequential::default().then("ids", Positive).then("encoder", layer), &[12]),
    }
}

/// Numbers above 1.
struct Positive;

impl Layer for Positive {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.abs() * 3 + 1
    }

    fn script(&self) -> Script {
        Script::expression("torch.add(torch.mul(torch.abs({x}), 3), 1)")
    }

    fn describe(&self) -> String {
        "positive".to_string()
    }
}

/// A small BERT for texts of six tokens.
fn encoder(path: &nn::Path, columns: usize, has_pooler: bool, frame: PairFrame) -> BertEncoder {
    const NAMES: BertNames = BertNames {
        blocks: "layer",
        projections: ["self.q", "self.k", "self.v"],
        attended: "output.dense",
        attended_norm: "output.norm",
        feed_forward: ["inner", "outer"],
        output_norm: "norm",
    };
    let groups = vec![FeatureGroup::Tokens { length: 6, vocabulary: 12 }; columns];
    let task = Task { groups, ..Task::new(InputShape(vec![6 * columns as i64]), 2) };
    let size = BertSize {
        vocabulary: 10,
        width: 8,
        depth: 2,
        heads: 2,
        hidden: 12,
        positions: 14,
        first_position: 2,
        types: 2,
        length: 9,
        frame,
        eps: 1e-5,
        dropout: 0.2,
        lora: 0,
        pooling: if has_pooler { Pooling::First } else { Pooling::Mean },
        has_pooler,
    };
    BertEncoder::new(path, &task, &NAMES, size)
}

/// A small ModernBERT for texts of six tokens.
fn modern_encoder(path: &nn::Path, columns: usize) -> ModernBertEncoder {
    let groups = vec![FeatureGroup::Tokens { length: 6, vocabulary: 12 }; columns];
    let task = Task { groups, ..Task::new(InputShape(vec![6 * columns as i64]), 2) };
    let size = ModernBertSize {
        vocabulary: 10,
        width: 8,
        depth: 3,
        heads: 2,
        hidden: 12,
        length: 9,
        global_every: 2,
        window: 4,
        bases: [1000., 50.],
        eps: 1e-5,
        dropout: 0.2,
        lora: 0,
        pooling: Pooling::Mean,
    };
    ModernBertEncoder::new(path, &task, size)
}

/// Thirty features of six values in five classes.
fn neighbors(path: &nn::Path, k: i64) -> Neighbors {
    let mut layer = Neighbors::new(path, 6, 5, 0.07);
    let bank = Tensor::randn([30, 6], (Kind::Float, Device::Cpu));
    layer.fill(&bank, &Tensor::randint(5, [30], (Kind::Int64, Device::Cpu)), k);
    layer
}

#[test]
fn the_votes_of_neighbors_are_probabilities_for_every_input() {
    let vs = nn::VarStore::new(Device::Cpu);
    let layer = neighbors(&vs.root(), 3);
    let random = Tensor::randn([20, 6], (Kind::Float, Device::Cpu));
    for x in [random.shallow_clone(), &random * 1e-20, &random * 1e15, random.zeros_like()] {
        let found = layer.forward(&x, false);
        assert_eq!(found.isfinite().all().int64_value(&[]), 1);
        let sums = found.exp().sum_dim_intlist([1].as_slice(), false, Kind::Double);
        assert!((sums - 1.).abs().max().double_value(&[]) < 1e-6);
    }
    // The length of a feature does not count.
    let difference = layer.forward(&random, false) - layer.forward(&(&random * 50.), false);
    assert!(difference.abs().max().double_value(&[]) < 1e-3);
}

#[test]
fn containers_and_residual_connections_compute_the_same_in_torchscript() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let inner = Sequential::default().then("0", Linear::new(&(&root / "b" / "0"), 5, 5)).then("relu", Relu);
    let shortcut = Sequential::default().then("down", Linear::new(&(&root / "down"), 5, 5));
    let layers = Sequential::default()
        .then_sum(Sequential::default().then("b", inner), Sequential::default())
        .then_sum(Sequential::default().then("c", Linear::new(&(&root / "c"), 5, 5)), shortcut)
        .then_gate(Sequential::default().then("gate", Linear::new(&(&root / "gate"), 5, 5)));
    check(layers, &[5]);
}

#[test]
fn fused_normalization_and_relu_equal_the_separate_layers() {
    let vs = nn::VarStore::new(Device::Cpu);
    let norm = BatchNorm2d::new(&(vs.root() / "bn"), 16);
    let layers = Sequential::default().then("bn", norm).then("relu", Relu).then("last", GlobalAverage);
    let x = Tensor::randn([4, 16, 5, 6], (Kind::Float, Device::Cpu)) * 3 + 1;
    // libtorch's operations, because the memory format is contiguous and not channels last.
    let expected = layers.forward(&x, true);
    let running = || vs.variables()["bn.running_var"].shallow_clone();
    let followed = running().copy();
    let _ = tch::no_grad(|| running().fill_(1.));
    let last = cresset_bridge::memory::channels_last(&x).unwrap();
    let found = layers.forward(&last, true);
    assert!((&found - expected).abs().max().double_value(&[]) < 1e-5);
    assert!((running() - followed).abs().max().double_value(&[]) < 1e-5);
    assert_eq!(vs.variables()["bn.num_batches_tracked"].int64_value(&[]), 2);
    // In evaluation the running statistics are used, and ReLU still applies.
    let y = layers.forward(&last, false);
    assert!(y.min().double_value(&[]) >= 0. && (&y - found).abs().max().double_value(&[]) > 1e-3);
}

#[test]
fn a_linear_layer_starts_within_pytorchs_bounds() {
    let vs = nn::VarStore::new(Device::Cpu);
    Linear::new(&vs.root(), 64, 1000);
    let largest = |name: &str| vs.root().get(name).unwrap().abs().max().double_value(&[]);
    for name in ["weight", "bias"] {
        assert!(largest(name) <= 1. / 8. && largest(name) > 0.99 / 8., "{}", largest(name));
    }
}
