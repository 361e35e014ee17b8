//! Model details: architecture, training, file and authors.

use crate::data::TaskKind;
use crate::evaluate::numbers::thousands;
use crate::options::{Config, ModelChoice, portable};
use crate::report::card::Card;
use crate::report::card::markdown::{code, plain, table};
use crate::train::Monitor;

/// Options that have their own line here or in another section.
const COVERED_ELSEWHERE: &[&str] = &[
    "data",
    "recipe",
    "bag",
    "format",
    "task",
    "label",
    "ignore",
    "missing",
    "group",
    "exclude",
    "image_size",
    "max_bad_share",
    "max_memory",
    "validation",
    "split",
    "train_list",
    "validation_list",
    "test_list",
    "folds",
    "fold",
    "model",
    "model_options",
    "init",
    "pretrained",
    "epochs",
    "batch_size",
    "lr",
    "optimizer",
    "loss",
    "seed",
    "device",
    "threads",
];

/// Renders the section.
pub fn section(card: &Card) -> String {
    let Card { config, metadata, file, about, .. } = card;
    let stated = |field: &str| about.get(field).map_or_else(|| about.or_how_to_state(field), plain);
    let optional = |field: &str| about.get(field).map(plain).unwrap_or_default();
    let date = file.date.as_ref().map(|date| format!(", written on {date} (UTC)")).unwrap_or_default();
    let mut rows = vec![
        ("Architecture", format!("{}; {} parameters", architecture(config), thousands(card.parameters))),
        ("Initialization", initialization(config)),
        ("Training", training(config)),
        ("Weights", weights(card)),
        ("Other options", other_options(config)),
        ("File", format!("`model.pt` (TorchScript), {} bytes{date}", thousands(file.bytes))),
        ("SHA-256 of the file", code(&file.sha256)),
        (
            "Created with",
            format!("cresset {}, libtorch {}", plain(&metadata.cresset), plain(&metadata.libtorch)),
        ),
        ("Version", optional("model_version")),
        ("Authors", stated("authors")),
        ("Contact", stated("contact")),
        ("Citation", optional("citation")),
    ];
    rows.retain(|(_, text)| !text.is_empty());
    let rows = rows.into_iter().map(|(name, text)| vec![name.to_string(), text]);
    let config = "All options of the run are in its `config.toml` and in `metadata.json` inside the file.";
    format!("{}\n{config}\n", table(&["", ""], rows))
}

fn architecture(config: &Config) -> String {
    let one = architecture_of_one(config);
    match config.bag {
        0 => one,
        bag => format!("a bag of {bag} models, each {one}"),
    }
}

fn architecture_of_one(config: &Config) -> String {
    match ModelChoice::of(&config.model) {
        ModelChoice::Architecture(name) if config.model_options.is_empty() => code(name),
        ModelChoice::Architecture(name) => format!("{} with {}", code(name), code(&config.model_options)),
        ModelChoice::File(path) => {
            format!(
                "from the TorchScript file {}",
                code(&path.file_name().unwrap_or_default().to_string_lossy())
            )
        }
        ModelChoice::Own(name) => format!("{} (custom model)", code(name)),
    }
}

fn initialization(config: &Config) -> String {
    if let Some(name) = &config.pretrained {
        return format!("pretrained weights {}; seed {}", code(&portable("pretrained", name)), config.seed);
    }
    let file = match (&config.init, ModelChoice::of(&config.model)) {
        (Some(file), _) => file.as_path(),
        (None, ModelChoice::File(file)) => file,
        (None, _) => return format!("random, seed {}", config.seed),
    };
    format!(
        "weights of {}; seed {}",
        code(&file.file_name().unwrap_or_default().to_string_lossy()),
        config.seed
    )
}

fn training(config: &Config) -> String {
    let Config { optimizer, lr, batch_size, epochs, training, .. } = config;
    format!(
        "{optimizer}, learning rate {lr}, batch size {batch_size}, {} loss, at most {epochs} epochs",
        training.loss
    )
}

fn weights(card: &Card) -> String {
    let monitor = card.config.training.monitor;
    let best = match (monitor, card.task()) {
        (Monitor::Accuracy, TaskKind::Multilabel) => "the highest validation exact match".to_string(),
        _ => monitor.best(),
    };
    format!("from epoch {}, which had {best}", card.metadata.metrics.epoch)
}

/// The other options with non-default values.
fn other_options(config: &Config) -> String {
    let defaults = Config::default().entries();
    let is_other = |entry: &(&'static str, toml::Value)| {
        !COVERED_ELSEWHERE.contains(&entry.0) && !defaults.contains(entry)
    };
    let others = config.portable_entries().into_iter().filter(is_other);
    let shown: Vec<_> = others.map(|(name, value)| code(&format!("{name} = {value}"))).collect();
    shown.join(", ")
}
