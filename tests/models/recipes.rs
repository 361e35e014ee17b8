//! The named recipes in `recipes/`.

use std::path::{Path, PathBuf};

use crate::support::{root, succeed, text};

/// The run files, in the order of their names.
fn recipes() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("recipes")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.iter().any(|file| file.ends_with("cnn.toml")), "{files:?}");
    files
}

/// The validation accuracy after the last epoch.
fn last_accuracy(run: &Path) -> f64 {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    let last = metrics.lines().last().unwrap();
    last.split(',').nth(4).unwrap().parse().unwrap()
}

#[test]
fn every_recipe_trains_its_model() {
    let folder = tempfile::tempdir().unwrap();
    for recipe in recipes() {
        let name = recipe.file_stem().unwrap().to_str().unwrap().to_string();
        let run = folder.path().join(&name);
        let options = ["--epochs", "1", "--seed", "0", "--out", text(&run)];
        succeed(["train", "--config", text(&recipe)].into_iter().chain(options));
        let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
        assert!(config.contains(&format!("model = \"{name}\"")), "{config}");
    }
}

#[test]
fn a_recipe_sets_neither_data_nor_hardware() {
    for recipe in recipes() {
        let file: toml::Table = std::fs::read_to_string(&recipe).unwrap().parse().unwrap();
        for option in ["data", "device", "threads", "seed"] {
            assert!(!file.contains_key(option), "{}: {option}", recipe.display());
        }
    }
}

#[test]
fn the_mlp_recipe_classifies_most_digits_correctly() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let recipe = root().join("recipes/mlp.toml");
    succeed(["train", "--config", text(&recipe), "--seed", "0", "--device", "cpu", "--out", text(&run)]);
    assert!(last_accuracy(&run) >= 0.975, "{}", last_accuracy(&run));
}
