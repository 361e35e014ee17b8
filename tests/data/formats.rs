//! The same digits in each format that is read: each trains with one command, and to the same accuracy.

use std::path::Path;

use crate::support::hub::Hub;
use crate::support::pretrained::connect;
use crate::support::samples::Digits;
use crate::support::{cresset, stderr, succeed, text};
use cresset::export::Metadata;
use cresset::predict::Classifier;
use tch::Device;

fn train(data: &Path, options: &[&str]) -> Metadata {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--recipe", "none", "--data", text(data), "--out", text(&run)].iter().chain(options));
    Classifier::load_on(&run.join("model.pt"), Device::Cpu).unwrap().metadata().clone()
}

fn assert_digits(metadata: &Metadata) {
    let accuracy = metadata.metrics.validation["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.93, "{accuracy}");
    assert_eq!(metadata.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn idx_files_train_alone_and_as_a_folder_with_a_test_set() {
    let (digits, folder) = (Digits::read(), tempfile::tempdir().unwrap());
    digits.write_idx(folder.path(), "train", 0..1500);
    digits.write_idx(folder.path(), "t10k", 1500..1797);
    let metadata = train(folder.path(), &[]);
    assert_digits(&metadata);
    assert_eq!((metadata.metrics.train_rows, metadata.metrics.validation_rows), (1200, 300));
    assert_eq!(metadata.metrics.test.unwrap().rows, 297);
    let train_file = folder.path().join("train-images-idx3-ubyte.gz");
    assert!(train(&train_file, &[]).metrics.test.is_none());
}

#[test]
fn numpy_arrays_train() {
    let (digits, folder) = (Digits::read(), tempfile::tempdir().unwrap());
    let (x, y) = digits.npy();
    let path = folder.path().join("images.npy");
    std::fs::write(&path, &x).unwrap();
    std::fs::write(folder.path().join("labels.npy"), &y).unwrap();
    assert_digits(&train(&path, &[]));

    let path = folder.path().join("digits.npz");
    digits.write_npz(&path);
    assert_digits(&train(&path, &[]));
}

#[test]
fn cifar_files_train_with_the_names_of_their_classes() {
    let folder = tempfile::tempdir().unwrap();
    Digits::read().write_cifar(folder.path());
    let metadata = train(folder.path(), &["--epochs", "3"]);
    assert_eq!(metadata.classes, ["one", "zero"]);
    assert!(metadata.metrics.validation["accuracy"].as_f64().unwrap() > 0.9);
}

/// A data set that is known by name and in the cache is read from there; nothing is requested.
#[test]
fn a_published_data_set_trains_by_its_name() {
    let (digits, cache) = (Digits::read(), tempfile::tempdir().unwrap());
    let folder = cache.path().join("cresset/datasets/mnist");
    std::fs::create_dir_all(&folder).unwrap();
    digits.write_idx(&folder, "train", 0..1500);
    digits.write_idx(&folder, "t10k", 1500..1797);
    let out = cache.path().join("run");
    let train = |data: &str| {
        let arguments = ["train", "--data", data, "--recipe", "none", "--epochs", "1", "--out", text(&out)];
        cresset()
            .args(arguments)
            .env("XDG_CACHE_HOME", cache.path())
            .current_dir(cache.path())
            .output()
            .unwrap()
    };
    let output = train("mnist");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("297 for testing"));
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("data = \"mnist\""), "{config}");

    let absent = train("cifar10");
    assert_eq!(absent.status.code(), Some(2));
    assert!(stderr(&absent).contains("the data set cifar10 is not in"), "{}", stderr(&absent));
    let misspelled = train("mnsit");
    assert!(stderr(&misspelled).contains("did you mean `mnist`"), "{}", stderr(&misspelled));
}

/// Without a network, and with a mirror that has other bytes.
#[test]
fn a_data_set_that_cannot_be_downloaded_is_an_error_that_says_why() {
    let cache = tempfile::tempdir().unwrap();
    let audit = |endpoint: &str| {
        let mut command = cresset();
        command.args(["data", "audit", "mnist"]).current_dir(cache.path());
        let output = connect(&mut command, endpoint, cache.path())
            .env("XDG_CACHE_HOME", cache.path())
            .env("DATASETS_ENDPOINT", endpoint)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let problem = audit(&format!("http://127.0.0.1:{unused}"));
    assert!(problem.contains("the data set mnist") && problem.contains("refused"), "{problem}");
    let mirror = Hub::start("datasets", &[("mnist/train-images-idx3-ubyte.gz", b"other")]);
    let problem = audit(&mirror.torchvision_endpoint());
    assert!(problem.contains("train-images-idx3-ubyte.gz of the data set mnist"), "{problem}");
    assert!(!cache.path().join("cresset/datasets/mnist").exists());
}
