//! Embeddings of labeled examples.

use std::path::Path;

use cresset::model::{Network, Task};
use cresset::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::support::pretrained;
use crate::support::samples::{mail_options, write_mails};
use crate::support::{color_images, cresset, run, stderr, succeed, text, train_once};

fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    assert_eq!(reader.headers().unwrap(), vec!["example", "label"]);
    reader.records().map(|row| row.unwrap().iter().map(str::to_string).collect()).collect()
}

fn largest(tensor: Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

#[test]
fn the_embeddings_of_a_run_are_the_inputs_of_its_last_layer() {
    let folder = tempfile::tempdir().unwrap();
    let (out, npy, names) =
        (folder.path().join("run"), folder.path().join("a.npy"), folder.path().join("names.csv"));
    train_once(&out, &["--model", "cnn", "--model-options", "width=4", "--epochs", "2", "--device", "cpu"]);
    let said =
        succeed(["embed", text(&out), "--out", text(&npy), "--names", text(&names), "--device", "cpu"]);
    assert!(said.starts_with("1,797 embeddings of 128 values written to "), "{said}");
    let embeddings = Tensor::read_npy(&npy).unwrap();
    assert_eq!((embeddings.size(), embeddings.kind()), (vec![1797, 128], Kind::Float));
    let rows = rows(&names);
    assert_eq!((rows.len(), &rows[0][0][..], &rows[1796][0][..]), (1797, "0", "1796"));

    let classifier = Classifier::load_on(&out.join("model.pt"), Device::Cpu).unwrap();
    let weights = cresset::model::weights::read(&out.join("checkpoints/best.safetensors")).unwrap();
    let digits = cresset::data::load("digits", &Default::default()).unwrap();
    assert_eq!(rows[5][1], digits.classes[digits.labels[5] as usize]);
    let raw = crate::support::first_rows(&digits, 20);
    let (weight, _) = weights.iter().find(|(_, tensor)| tensor.size() == [10, 128]).expect("the last layer");
    let (weight, bias) = (weight.clone(), weight.replace("weight", "bias"));
    let logits = embeddings.narrow(0, 0, 20).linear(&weights[&weight], Some(&weights[&bias]));
    assert!(largest(logits - classifier.logits(&raw).unwrap()) < 1e-4);
}

#[test]
fn pretrained_weights_embed_images_without_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    color_images(&path("photos"), 3);
    std::fs::write(path("photos/red/1.png"), "not an image").unwrap();
    pretrained::write(&path("weights"));
    let (photos, weights, npy) = (path("photos"), path("weights"), path("e.npy"));
    let command = [
        "embed",
        "--pretrained",
        text(&weights),
        "--data",
        text(&photos),
        "--out",
        text(&npy),
        "--max-bad-share",
        "0.2",
    ];
    let embed = || {
        let output = cresset().args(command).env("XDG_CACHE_HOME", path("cache")).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read(&npy).unwrap()
    };
    let bytes = embed();
    let embeddings = Tensor::read_npy(&npy).unwrap();
    assert_eq!(embeddings.size(), [8, 512]);
    let rows = rows(&path("e.csv"));
    let names: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(
        names,
        [
            "blue/0.png",
            "blue/1.png",
            "blue/2.png",
            "green/0.png",
            "green/1.png",
            "green/2.png",
            "red/0.png",
            "red/2.png"
        ]
    );
    assert_eq!(rows[7][1], "red");
    // The same from the cache.
    assert_eq!(path("cache/cresset/features").read_dir().unwrap().count(), 1);
    assert_eq!(embed(), bytes);

    // The features of the network with the published weights.
    let task = Task::new(InputShape(vec![3, 64, 64]), 3);
    let mut network = Network::new("resnet18", "", &task, Device::Cpu, 0).unwrap();
    let mut state = pretrained::weights();
    for (name, size) in [("fc.weight", &[3i64, 512][..]), ("fc.bias", &[3])] {
        // Logits are the first features.
        let head = if name == "fc.bias" {
            Tensor::zeros(size, (Kind::Float, Device::Cpu))
        } else {
            Tensor::eye(512, (Kind::Float, Device::Cpu)).narrow(0, 0, 3)
        };
        state.insert(name.to_string(), head);
    }
    network.load_state(&state).unwrap();
    let image = image::open(path("photos/blue/1.png")).unwrap();
    // The middle 95 % of 40×40, as config.json has it.
    let image = image.crop_imm(1, 1, 38, 38);
    let image = image.resize_exact(64, 64, image::imageops::FilterType::CatmullRom).into_rgb8();
    let pixels =
        Tensor::from_slice(image.as_raw()).view([1, 64, 64, 3]).permute([0, 3, 1, 2]).to_kind(Kind::Float)
            / 255.;
    let mean = Tensor::from_slice(&[0.5f32, 0.25, 0.75]).view([3, 1, 1]);
    let deviation = Tensor::from_slice(&[0.25f32, 0.5, 0.125]).view([3, 1, 1]);
    let logits = tch::no_grad(|| network.forward(&((pixels - mean) / deviation), false)).unwrap();
    let expected = embeddings.narrow(0, 1, 1).narrow(1, 0, 3);
    let tolerance = 0.05 * largest(expected.shallow_clone()).max(0.1);
    assert!(largest(logits - &expected) < tolerance, "only the resizing differs slightly");
}

#[test]
fn the_embeddings_of_texts_are_those_of_a_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_mails(folder.path());
    let (mails, run, npy, other) = (path("mails.csv"), path("run"), path("a.npy"), path("c.npy"));
    let small = [
        "--recipe",
        "none",
        "--epochs",
        "1",
        "--model",
        "textcnn",
        "--model-options",
        "rows=64,width=8,filters=4",
    ];
    train_once(&run, &[&mail_options(&mails)[..], &small].concat());
    let said = succeed(["embed", text(&run), "--out", text(&npy)]);
    assert!(said.contains("120 embeddings of 12 values"), "{said}");
    let predicted = path("b.npy");
    succeed(["predict", text(&run), text(&mails), "--embeddings", text(&predicted)]);
    let [embedded, predicted] = [&npy, &predicted].map(|file| Tensor::read_npy(file).unwrap());
    assert!(largest(embedded - predicted) < 1e-5);
    assert!(std::fs::read_to_string(path("a.csv")).unwrap().contains("0,ham"));
    let wrong = ["--data", text(&mails), "--text", "subject", "--label", "kind", "--out", text(&other)];
    let refused = crate::support::run(["embed", text(&run.join("model.pt"))].iter().chain(&wrong));
    assert!(
        stderr(&refused).contains("takes the text columns body; select them with --text"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (out, npy) = (folder.path().join("run"), folder.path().join("a.npy"));
    train_once(&out, &["--data", "iris", "--epochs", "1"]);
    let refused = |arguments: &[&str]| {
        let output = run(["embed", "--out", text(&npy)].iter().chain(arguments));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(!npy.exists());
        stderr(&output)
    };
    assert!(refused(&[text(&out)]).contains("`cresset predict --embeddings FILE.npy` embeds them"));
    assert!(refused(&[text(&out.join("model.pt"))]).contains("missing --data"));
    assert!(refused(&["--pretrained", "weights.pth"]).contains("missing --data"));
    assert!(refused(&[text(&out), "--names", text(&npy)]).contains("are the same file"));
    assert!(refused(&["--data", "digits"]).contains("<MODEL|RUN>"));
}
