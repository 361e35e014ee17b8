//! Out-of-distribution detection by the energy of the logits, and by the distance to training features.

use std::path::{Path, PathBuf};

use cresset::evaluate::ood::{OodScore, OodThreshold};
use cresset::predict::Classifier;
use cresset_bridge::script::Module;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::support::{self, run, stderr, succeed, text, train_once};

/// A model of the digits, and files with the values of 599 other digits, of their negatives, and of noise.
struct Data {
    run: PathBuf,
    digits: PathBuf,
    inverted: PathBuf,
    noise: PathBuf,
    labeled: PathBuf,
}

impl Data {
    fn new(folder: &Path, options: &[&str]) -> Self {
        let all = std::fs::read_to_string(support::root().join("data/digits.csv")).unwrap();
        let write = |name: &str, lines: Vec<String>| {
            let path = folder.join(name);
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            path
        };
        // Of each three digits, one is for training, one for validation and one for the tests.
        let names =
            |remainder| (0..1797).filter(|row| row % 3 == remainder).map(|row| row.to_string()).collect();
        let [train, validation, test] = [("train.txt", 0), ("validation.txt", 1), ("test.txt", 2)]
            .map(|(name, part)| write(name, names(part)));
        let lists = [
            "--train-list",
            text(&train),
            "--validation-list",
            text(&validation),
            "--test-list",
            text(&test),
        ];
        let run = folder.join("run");
        succeed(["train", "--out", text(&run)].iter().chain(options).chain(&lists));

        let test: Vec<_> = all.lines().skip(2).step_by(3).map(str::to_string).collect();
        let unlabeled = |line: &String| line.rsplit_once(',').unwrap().0.to_string();
        let negative = |line: &String| {
            let values = unlabeled(line);
            let values = values.split(',').map(|value| (16. - value.parse::<f32>().unwrap()).to_string());
            values.collect::<Vec<_>>().join(",")
        };
        let mut generator = ChaCha8Rng::seed_from_u64(3);
        let mut noise =
            || (0..64).map(|_| generator.random_range(0..=16).to_string()).collect::<Vec<_>>().join(",");
        Data {
            run,
            digits: write("digits.csv", test.iter().map(unlabeled).collect()),
            inverted: write("inverted.csv", test.iter().map(negative).collect()),
            noise: write("noise.csv", (0..200).map(|_| noise()).collect()),
            labeled: write("labeled.csv", test),
        }
    }

    fn model(&self) -> PathBuf {
        self.run.join("model.pt")
    }
}

/// The energy of each input of a file and whether it is flagged.
fn predicted(model: &Path, rows: &Path, options: &[&str]) -> Vec<(f64, bool)> {
    let arguments = ["predict", text(model), text(rows), "--output", "jsonl"];
    let printed = succeed(arguments.iter().chain(options));
    let entry = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["energy"].as_f64().unwrap(), line["ood"].as_bool().unwrap())
    };
    printed.lines().map(entry).collect()
}

fn flagged(rows: &[(f64, bool)]) -> f64 {
    rows.iter().filter(|(_, is_ood)| *is_ood).count() as f64 / rows.len() as f64
}

#[test]
fn other_digits_are_flagged_with_the_chosen_share_and_noise_and_negatives_far_more_often() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::new(folder.path(), &["--model", "cnn", "--epochs", "10", "--ood", "0.05"]);
    assert!(std::fs::read_to_string(data.run.join("config.toml")).unwrap().contains("ood = 0.05\n"));
    let of_model = |rows: &Path| predicted(&data.model(), rows, &[]);
    let [digits, inverted, noise] =
        [&data.digits, &data.inverted, &data.noise].map(|rows| flagged(&of_model(rows)));
    // Its standard error is 1.3 %: 599 examples in the validation set, and 599 in the test set.
    assert!((0.01..0.09).contains(&digits), "{digits}");
    assert!(inverted > 0.5 && noise > 0.5, "inverted {inverted}, noise {noise}");

    let shown = succeed(["eval", text(&data.model()), text(&data.labeled)]);
    let line = shown.lines().find(|line| line.starts_with("flagged as out of distribution")).unwrap();
    assert!(line.ends_with(&format!("{:.2} %", 100. * digits)), "{line}, expected {digits}");
    succeed(["report", text(&data.run)]);
    let report = std::fs::read_to_string(data.run.join("report.html")).unwrap();
    assert!(report.contains("flagged as out of distribution"));
    succeed(["card", text(&data.run)]);
    let card = std::fs::read_to_string(data.run.join("card.md")).unwrap();
    assert!(card.contains("flagged as out of distribution"), "{card}");
    let csv = succeed(["predict", text(&data.model()), text(&data.noise)]);
    assert!(csv.starts_with("input,class,probability,energy,ood,error\n"), "{csv}");
}

#[test]
fn the_threshold_and_the_methods_travel_with_the_exported_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::new(folder.path(), &["--epochs", "3", "--ood", "0.2"]);
    let ood = Classifier::load(data.model()).unwrap().metadata().ood.unwrap();
    assert_eq!(ood.share, 0.2);
    // ⌈(n + 1) · 0.2⌉ - 1 of the n validation examples are above the threshold.
    let shown = succeed(["eval", text(&data.run)]);
    let rows: f64 = shown.lines().find_map(|line| line.strip_prefix("rows")).unwrap().trim().parse().unwrap();
    let expected = (rows - ((rows + 1.) * 0.8 - 1e-9).ceil()) / rows;
    let line = shown.lines().find(|line| line.starts_with("flagged as out of distribution")).unwrap();
    assert!(line.ends_with(&format!("{:.2} %", 100. * expected)), "{line}, expected {expected}");

    let frozen = folder.path().join("frozen.pt");
    succeed(["export", text(&data.run), "--freeze", "--output", text(&frozen)]);
    let cells = std::fs::read_to_string(&data.digits).unwrap();
    let values: Vec<f32> =
        cells.lines().flat_map(|row| row.split(',').map(|cell| cell.parse::<f32>().unwrap())).collect();
    let inputs = Tensor::from_slice(&values).view([-1, 64]);
    for file in [&data.model(), &frozen] {
        let (module, _) = Module::load(file, Device::Cpu, &[]).unwrap();
        let output = |method| module.call(method, &inputs).unwrap().remove(0);
        let (energies, flags) = (output("energy"), output("is_ood"));
        assert_eq!(output("ood_score"), energies);
        assert_eq!((energies.kind(), flags.kind()), (Kind::Float, Kind::Bool));
        let direct = -output("forward").exp().sum_dim_intlist(-1, false, Kind::Double).log();
        assert!(energies.to_kind(Kind::Double).allclose(&direct, 1e-4, 1e-4, false));
        let (energies, flags) =
            (Vec::<f32>::try_from(energies).unwrap(), Vec::<bool>::try_from(flags).unwrap());
        let lines = predicted(file, &data.digits, &[]);
        assert_eq!(lines.len(), energies.len());
        for ((energy, is_ood), (own, flag)) in lines.iter().zip(energies.iter().zip(&flags)) {
            assert!((energy - f64::from(*own)).abs() < 1e-4, "{energy} {own}");
            assert_eq!((is_ood, ood.is_ood(*own)), (flag, *flag), "{own}, {ood:?}");
        }
        assert!(flags.contains(&true) && flags.contains(&false));
    }
    let onnx = folder.path().join("model.onnx");
    succeed(["export", text(&data.run), "--format", "onnx", "--output", text(&onnx)]);
    let wanted = format!("\"ood\":{}", serde_json::to_string(&ood).unwrap());
    let bytes = std::fs::read(&onnx).unwrap();
    assert!(bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()), "{wanted}");
}

#[test]
fn augmented_views_have_a_mean_energy_near_that_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::new(folder.path(), &["--epochs", "3", "--ood", "0.05"]);
    // Views that are nearly the image: the energies of log-probabilities would be 0.
    let views = ["--tta", "noise=0.001", "--tta-views", "3"];
    let (plain, mean) =
        (predicted(&data.model(), &data.digits, &[]), predicted(&data.model(), &data.digits, &views));
    for ((plain, _), (mean, _)) in plain.iter().zip(&mean) {
        assert!((plain - mean).abs() < 0.1, "{plain} {mean}");
    }
    assert!(plain.iter().any(|(energy, _)| *energy < -1.));
}

#[test]
fn few_validation_examples_flag_nothing_and_models_without_the_option_stay_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("few");
    let iris = support::root().join("data/iris.csv");
    // 30 validation examples; 99 are needed.
    let options = ["--bag", "0", "--epochs", "2", "--ood", "0.01", "--out", text(&out)];
    let trained = run(["train", "--data", text(&iris)].iter().chain(&options));
    let printed = stderr(&trained);
    assert!(trained.status.success() && printed.contains("nothing will be flagged"), "{printed}");
    assert!(printed.contains("30 examples and 99 are needed"), "{printed}");
    let model = out.join("model.pt");
    let ood = Classifier::load(&model).unwrap().metadata().ood.unwrap();
    assert_eq!(ood, OodThreshold { share: 0.01, threshold: None, score: OodScore::Energy, k: None });
    let rows = folder.path().join("rows.csv");
    std::fs::write(&rows, "5.1,3.5,1.4,0.2\n-900,0,0,900\n").unwrap();
    assert_eq!(flagged(&predicted(&model, &rows, &[])), 0.);
    let (module, _) = Module::load(&model, Device::Cpu, &[]).unwrap();
    let inputs = Tensor::zeros([3, 4], (Kind::Float, Device::Cpu));
    assert_eq!(module.call("is_ood", &inputs).unwrap(), [Tensor::zeros([3], (Kind::Bool, Device::Cpu))]);

    for share in ["0", "1", "1.5"] {
        let refused = run(["train", "--ood", share]);
        assert!(stderr(&refused).contains("expected a number between 0 and 1"), "{}", stderr(&refused));
    }
    let plain = folder.path().join("plain");
    train_once(&plain, &["--epochs", "2"]);
    assert!(!std::fs::read_to_string(plain.join("config.toml")).unwrap().contains("ood = "));
    let digits = support::unlabelled_digits(folder.path(), 3);
    assert!(!succeed(["predict", text(&plain.join("model.pt")), text(&digits)]).contains("energy"));
    assert!(!succeed(["eval", text(&plain)]).contains("out of distribution"));
}

/// The distance of each input of a file and whether it is flagged.
fn distances(model: &Path, rows: &Path) -> Vec<(f64, bool)> {
    let printed = succeed(["predict", text(model), text(rows), "--output", "jsonl"]);
    let entry = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["energy"].is_null());
        (line["distance"].as_f64().unwrap(), line["ood"].as_bool().unwrap())
    };
    printed.lines().map(entry).collect()
}

#[test]
fn distances_to_training_features_flag_noise_and_travel_with_the_exported_file() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--model", "cnn", "--epochs", "10", "--ood", "0.05", "--ood-score", "knn"];
    let data = Data::new(folder.path(), &options);
    let model = data.model();
    let [digits, inverted, noise] =
        [&data.digits, &data.inverted, &data.noise].map(|rows| flagged(&distances(&model, rows)));
    assert!((0.01..0.09).contains(&digits), "{digits}");
    assert!(inverted > 0.5 && noise > 0.5, "inverted {inverted}, noise {noise}");
    let shown = succeed(["eval", text(&model), text(&data.labeled)]);
    let line = shown.lines().find(|line| line.starts_with("flagged as out of distribution")).unwrap();
    assert!(line.ends_with(&format!("{:.2} %", 100. * digits)), "{line}, expected {digits}");
    let csv = succeed(["predict", text(&model), text(&data.noise)]);
    assert!(csv.starts_with("input,class,probability,distance,ood,error\n"), "{csv}");

    // 599 training examples: 1 % of them.
    let ood = Classifier::load(&model).unwrap().metadata().ood.unwrap();
    assert_eq!((ood.score, ood.k), (OodScore::Knn, Some(5)));
    let cells = std::fs::read_to_string(&data.digits).unwrap();
    let values: Vec<f32> =
        cells.lines().flat_map(|row| row.split(',').map(|cell| cell.parse::<f32>().unwrap())).collect();
    let inputs = Tensor::from_slice(&values).view([-1, 64]);
    let frozen = folder.path().join("frozen.pt");
    succeed(["export", text(&data.run), "--freeze", "--output", text(&frozen)]);
    let (module, _) = Module::load(&model, Device::Cpu, &[]).unwrap();
    let bank = module.buffers().unwrap().into_iter().find(|(name, _)| name == "ood_bank").unwrap().1;
    let features = module.call("features", &inputs).unwrap().remove(0).to_kind(Kind::Double);
    let unit = &features / features.square().sum_dim_intlist([1].as_slice(), true, Kind::Double).sqrt();
    let all = (unit.unsqueeze(1) - bank.to_kind(Kind::Double)).square().sum_dim_intlist(
        [2].as_slice(),
        false,
        Kind::Double,
    );
    let expected = all.sqrt().sort(1, false).0.select(1, 4);
    for file in [&model, &frozen] {
        let (module, _) = Module::load(file, Device::Cpu, &[]).unwrap();
        let output = |method| module.call(method, &inputs).unwrap().remove(0);
        let (scores, flags) = (output("ood_score"), output("is_ood"));
        assert!(scores.to_kind(Kind::Double).allclose(&expected, 1e-3, 1e-3, false));
        assert_eq!(flags, scores.gt(ood.threshold.unwrap()));
    }
    // Compressed models have other features.
    succeed(["compress", text(&data.run), "--quantize", "int8"]);
    let int8 = Classifier::load(data.run.join("compressed/int8.pt")).unwrap();
    assert!(int8.metadata().ood.is_none());
    let refused = run(["train", "--ood-score", "knn"]);
    assert!(stderr(&refused).contains("--ood-score requires --ood SHARE"), "{}", stderr(&refused));
}
