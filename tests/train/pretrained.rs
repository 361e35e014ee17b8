//! Training that starts from pretrained weights of a hub.

use std::path::{Path, PathBuf};
use std::process::Output;

use cresset::data::image::{Decoding, Interpolation};
use cresset::export::Metadata;
use cresset::model::preprocessing::PreprocessingKind;
use cresset::model::weights;
use cresset::predict::Classifier;

use crate::support::hub::{COMMIT, Hub};
use crate::support::pretrained::{NAME, connect, hub, weights as published, write};
use crate::support::{assert_same_bits, bits, color_images, cresset, root, stderr, text};

/// A folder with photos, and a hub.
struct Place {
    folder: tempfile::TempDir,
    hub: Hub,
}

impl Place {
    fn new() -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap(), hub: hub() };
        color_images(&place.path("photos"), 8);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run_at(&self, endpoint: &str, home: &str, arguments: &[&str]) -> Output {
        connect(cresset().args(arguments), endpoint, &self.path(home)).output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_at(&self.hub.endpoint(), "home", arguments)
    }

    /// Trains on the photos into a folder.
    fn train(&self, out: &str, epochs: &str, more: &[&str]) -> String {
        let (photos, out) = (self.path("photos"), self.path(out));
        let options = [
            "train",
            "--recipe",
            "none",
            "--data",
            text(&photos),
            "--epochs",
            epochs,
            "--lr",
            "1e-7",
            "--threads",
            "1",
            "--out",
            text(&out),
        ];
        let output = self.run(&[&options[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
    }

    /// What a command that must fail with this exit code says.
    fn refused(&self, code: i32, more: &[&str]) -> String {
        let out = self.path("refused");
        let output = self.run(&[&["train", "--out", text(&out)], more].concat());
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(!out.exists());
        stderr(&output)
    }
}

fn metadata(run: &Path) -> Metadata {
    Classifier::load(run.join("model.pt")).unwrap().metadata().clone()
}

#[test]
fn a_model_of_the_hub_brings_its_architecture_image_size_and_normalization() {
    let place = Place::new();
    let shown = place.train("run", "1", &["--pretrained", NAME]);
    let pinned = format!("hf:{NAME}@{COMMIT}");
    assert!(shown.contains("downloading model.safetensors (4"), "{shown}");
    assert!(shown.contains(&format!("init    {pinned}: 120 of 122 tensors matched")), "{shown}");
    assert!(shown.contains("randomly initialized: fc.bias (3 here, 1000 in the file)"), "{shown}");

    let run = place.path("run");
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    for line in [
        "model = \"resnet18\"".to_string(),
        "image_size = \"64x64\"".to_string(),
        "normalization = \"0.5,0.25,0.75/0.25,0.5,0.125\"".to_string(),
        "interpolation = \"bicubic\"".to_string(),
        "center_crop = 0.95".to_string(),
        format!("pretrained = \"{pinned}\""),
    ] {
        assert!(config.contains(&format!("{line}\n")), "{line} is not in {config}");
    }
    let trained = weights::read(&run.join("checkpoints/last.safetensors")).unwrap();
    let difference = &trained["layer4.1.conv2.weight"] - &published()["layer4.1.conv2.weight"];
    assert!(difference.abs().max().double_value(&[]) < 1e-5);

    let metadata = metadata(&run);
    assert_eq!(metadata.input.shape.0, [3, 64, 64]);
    let decoding = Decoding { depth: None, interpolation: Interpolation::Bicubic, center_crop: 0.95 };
    assert_eq!(metadata.input.decoding, decoding);
    let preprocessing = metadata.preprocessing;
    assert_eq!(preprocessing.kind, PreprocessingKind::FixedChannels);
    assert_eq!(preprocessing.offset, [127.5, 63.75, 191.25]);
    assert_eq!(preprocessing.scale, [63.75, 127.5, 31.875]);

    // The exact revision repeats the run from the cache.
    let (again, out) = (run.join("config.toml"), place.path("again"));
    let arguments = ["train", "--config", text(&again), "--out", text(&out)];
    place.hub.requests();
    let output = place.run(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_same_bits(&run, &out);
    assert_eq!(place.hub.requests(), []);
}

#[test]
fn weights_of_torchvision_are_found_in_the_cache_of_torch_hub_and_suit_grayscale_images() {
    let place = Place::new();
    write(&place.path("weights"));
    let checkpoints = place.path("home/torch/hub/checkpoints");
    std::fs::create_dir_all(&checkpoints).unwrap();
    let file = checkpoints.join("resnet18-f37072fd.pth");
    std::fs::rename(place.path("weights/model.safetensors"), &file).unwrap();
    std::fs::remove_dir_all(place.path("photos")).unwrap();
    for (class, value) in [("dark", 40), ("light", 200)] {
        std::fs::create_dir_all(place.path("photos").join(class)).unwrap();
        for number in 0..8u8 {
            let image = image::GrayImage::from_pixel(40, 40, image::Luma([value + number]));
            image.save(place.path("photos").join(class).join(format!("{number}.png"))).unwrap();
        }
    }
    let shown = place.train("run", "1", &["--pretrained", "torchvision/resnet18", "--image-size", "32"]);
    assert!(shown.contains("torchvision/resnet18.IMAGENET1K_V1: 120 of 122 tensors matched"), "{shown}");
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    for line in ["normalization = \"imagenet\"", "interpolation = \"bilinear\"", "center_crop = 0.875"] {
        assert!(config.contains(&format!("{line}\n")), "{line} is not in {config}");
    }
    let trained = weights::read(&place.path("run/checkpoints/last.safetensors")).unwrap();
    let summed = published()["conv1.weight"].sum_dim_intlist(1, true, tch::Kind::Float);
    assert!((&trained["conv1.weight"] - summed).abs().max().double_value(&[]) < 1e-4);
    assert_eq!(place.hub.requests(), []);

    let unknown = place.refused(2, &["--pretrained", "torchvision/resnet19"]);
    assert!(unknown.contains("torchvision/resnet18.IMAGENET1K_V1"), "{unknown}");
    let missing = place.refused(1, &["--pretrained", "torchvision/resnet34"]);
    assert!(missing.contains("resnet34-b627a593.pth") && missing.contains("HTTP 404"), "{missing}");
}

#[test]
fn a_run_resumes_without_the_hub_and_without_its_cache() {
    let place = Place::new();
    place.train("whole", "2", &["--pretrained", NAME]);
    place.train("parts", "1", &["--pretrained", NAME]);
    place.hub.requests();
    let (photos, parts) = (place.path("photos"), place.path("parts"));
    let nowhere = "http://127.0.0.1:9";
    let resume = ["train", "--resume", text(&parts), "--epochs", "2"];
    let output = place.run_at(nowhere, "empty", &resume);
    assert!(output.status.success(), "{}", stderr(&output));
    // The model and the last checkpoint; the best one records the number of epochs with which it was written.
    assert!(bits(&place.path("whole"))[..2] == bits(&parts)[..2]);

    // A job that is started again with its first command.
    let again = [
        "train",
        "--recipe",
        "none",
        "--data",
        text(&photos),
        "--epochs",
        "2",
        "--lr",
        "1e-7",
        "--threads",
        "1",
    ];
    let again = [&again[..], &["--pretrained", NAME, "--continue", "--out", text(&parts)]].concat();
    let output = place.run_at(nowhere, "empty", &again);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the run is finished"));
    assert_eq!(place.hub.requests(), []);
    assert!(!place.path("empty").exists());
}

#[test]
fn given_options_take_precedence_and_a_folder_needs_no_hub() {
    let place = Place::new();
    write(&place.path("weights"));
    let weights = place.path("weights");
    let given = ["--image-size", "32", "--normalization", "data", "--pretrained", text(&weights)];
    let shown = place.train("run", "1", &given);
    assert!(shown.contains("120 of 122 tensors matched"), "{shown}");
    let metadata = metadata(&place.path("run"));
    assert_eq!(metadata.input.shape.0, [3, 32, 32]);
    assert_eq!(metadata.preprocessing.kind, PreprocessingKind::StandardizeChannels);
    assert_eq!(place.hub.requests(), []);

    let shown = place.train("folds", "1", &["--folds", "2", "--pretrained", NAME]);
    assert!(shown.contains("fold 2 of 2") && shown.contains(COMMIT), "{shown}");
}

#[test]
fn weights_that_cannot_be_used_are_refused_with_a_remedy() {
    let place = Place::new();
    let misspelled = place.refused(2, &["--pretrained", "timm/resnet18.a1_in1"]);
    assert!(misspelled.contains("no model `timm/resnet18.a1_in1`"), "{misspelled}");
    assert!(misspelled.contains("did you mean `timm/resnet18.a1_in1k`?"), "{misspelled}");
    let both = place.refused(2, &["--pretrained", NAME, "--init", "weights.pth"]);
    assert!(both.contains("cannot be used with"), "{both}");
    let file = place.path("run.toml");
    std::fs::write(&file, "pretrained = \"timm/a\"\ninit = \"weights.pth\"\n").unwrap();
    assert!(place.refused(2, &["--config", text(&file)]).contains("use only one of them"));
    place.hub.change(|shelf| shelf.storage_status = Some(503));
    assert!(place.refused(1, &["--pretrained", NAME]).contains("HTTP 503"));

    write(&place.path("weights"));
    let (weights, config) = (place.path("weights"), place.path("weights/config.json"));
    std::fs::write(&config, r#"{ "architecture": "resnet18000" }"#).unwrap();
    let unknown = place.refused(2, &["--pretrained", text(&weights)]);
    assert!(unknown.contains("`resnet18000`, which is not available; there are mlp, "), "{unknown}");
    let table = ["--pretrained", text(&weights), "--model", "resnet18", "--data", "iris"];
    assert!(place.refused(2, &table).contains("is for images"));
}

#[test]
fn a_disk_limit_in_a_download_is_an_error_that_names_the_file() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_cresset");
    let command = format!(
        "ulimit -f 1000; exec {program} train --data {} --pretrained {NAME}",
        text(&place.path("photos"))
    );
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &command]).current_dir(root());
    let output = connect(&mut shell, &place.hub.endpoint(), &place.path("home")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("cannot write") && said.contains(".incomplete: File too large"), "{said}");
}

#[test]
fn the_list_of_pretrained_weights_has_those_of_known_architectures() {
    let output = cresset().args(["models", "--pretrained"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let line = listed.lines().find(|line| line.starts_with(NAME)).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[1..], ["resnet18", "11.69", "M", "73.2", "%", "at", "288", "224x224", "Apache-2.0"]);
    let encoder = listed.lines().find(|line| line.starts_with("FacebookAI/roberta-base")).unwrap();
    let words: Vec<_> = encoder.split_whitespace().collect();
    assert_eq!(words[1..], ["roberta", "124.65", "M", "512", "MIT"]);
    let architectures: Vec<_> = cresset::model::ARCHITECTURES.iter().map(|known| known.name).collect();
    assert!(
        cresset::model::pretrained::ENCODERS.iter().all(|known| architectures.contains(&known.architecture))
    );
}
