//! Model cards, read by the library of the Hugging Face hub.

use super::python;
use crate::support::{succeed, text};

/// Prints the license, the library, the tasks and the number of metrics of a card.
const READ_CARD: &str = r#"
import sys
from huggingface_hub import ModelCard
data = ModelCard.load(sys.argv[1]).data
print(data.license, data.library_name, data.pipeline_tag, len(data.eval_results), {r.task_type for r in data.eval_results})
"#;

#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_hub_reads_the_metadata_of_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&run)]);
    succeed(["card", text(&run), "--license", "MIT"]);
    let printed = python(&["-c", READ_CARD, text(&run.join("card.md"))]);
    assert_eq!(printed, "mit cresset image-classification 7 {'image-classification'}\n");
}
