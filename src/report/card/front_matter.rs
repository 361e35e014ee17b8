//! The YAML front matter of a card, in the format of the Hugging Face Hub
//! (<https://github.com/huggingface/hub-docs/blob/main/modelcard.md>).

use super::markdown::scalar;
use super::{Card, PartEvaluation};
use crate::data::TaskKind;

/// Metric names and their identifiers on the Hugging Face Hub.
const KNOWN: &[(&str, &str)] = &[
    ("accuracy", "accuracy"),
    ("balanced accuracy", "balanced_accuracy"),
    ("macro F1", "f1"),
    ("ROC-AUC", "roc_auc"),
    ("log-loss", "log_loss"),
    ("Brier score", "brier_score"),
    ("calibration error", "expected_calibration_error"),
    ("exact match", "exact_match"),
    ("mAP", "mean_average_precision"),
    ("R²", "r_squared"),
    ("mean absolute error", "mae"),
    ("root mean squared error", "rmse"),
    ("NDCG@10", "ndcg_at_10"),
    ("recall@10", "recall_at_10"),
    ("hit rate@10", "hit_rate_at_10"),
];

/// The front matter between its two `---` lines.
pub fn of(card: &Card) -> String {
    let task = match (card.has_images(), card.task()) {
        (false, TaskKind::Regression) => "tabular-regression",
        // The Hub has no task for numbers that are predicted from images, nor for recommendations.
        (true, TaskKind::Regression) | (_, TaskKind::Ranking) => "other",
        (false, _) => "tabular-classification",
        (true, _) => "image-classification",
    };
    let kind = match card.task() {
        TaskKind::Classification => None,
        TaskKind::Multilabel => Some("multi-label-classification"),
        TaskKind::Regression => Some("regression"),
        TaskKind::Ranking => Some("recommendation"),
    };
    let mut text = format!("---\n{}library_name: cresset\npipeline_tag: {task}\ntags:\n", license(card));
    for tag in [task].into_iter().chain(kind).chain(["torchscript", "libtorch", "cresset"]) {
        text += &format!("- {tag}\n");
    }
    let kinds: Vec<_> = card.measured[0].metrics().filter_map(|(metric, ..)| kind_of(metric.name)).collect();
    text += "metrics:\n";
    kinds.iter().for_each(|kind| text += &format!("- {kind}\n"));
    text += &format!("model-index:\n- name: {}\n  results:\n", scalar(&card.name));
    card.measured.iter().for_each(|measured| text += &results(card, task, measured));
    text + "---\n"
}

fn kind_of(metric: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(name, _)| *name == metric).map(|(_, kind)| *kind)
}

fn results(card: &Card, task: &str, measured: &PartEvaluation) -> String {
    let data = scalar(&card.metadata.data_file);
    let mut text = format!(
        "  - task:\n      type: {task}\n    dataset:\n      name: {data}\n      type: {data}\n      split: {}\n    metrics:\n",
        measured.name
    );
    for (metric, value, _) in measured.metrics() {
        if let Some(kind) = kind_of(metric.name) {
            text += &format!("    - type: {kind}\n      name: {}\n      value: {value}\n", metric.name);
        }
    }
    text
}

/// The Hub identifies licenses in lower case; any other is `other` with a name.
fn license(card: &Card) -> String {
    let link = card.about.get("license_link").map(|link| format!("license_link: {}\n", scalar(link)));
    let license = match card.about.get("license") {
        None => "license: unknown\n".to_string(),
        Some(id)
            if id.chars().all(|character| character.is_ascii_alphanumeric() || "-.+".contains(character)) =>
        {
            format!("license: {}\n", scalar(&id.to_ascii_lowercase()))
        }
        Some(name) => format!("license: other\nlicense_name: {}\n", scalar(name)),
    };
    license + &link.unwrap_or_default()
}
