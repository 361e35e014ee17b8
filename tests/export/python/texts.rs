//! Models of texts in Python.

use super::python;
use crate::support::text;
use crate::texts::{MODELS, TEXTS, check, expected, trained};

#[test]
#[ignore = "needs Python torch: make test-python"]
fn the_python_example_passes_strings() {
    let folder = tempfile::tempdir().unwrap();
    for (model, options) in MODELS {
        let file = trained(folder.path(), model, options);
        let arguments = [&["examples/python/classify_text.py", text(&file)][..], &TEXTS].concat();
        check(&python(&arguments), &expected(folder.path(), &file));
    }
}

/// Compares `forward_ids` with the ids and the mask of a batch, in any integer type, with `encode_text`.
const IDS: &str = r#"
import sys, torch
model = torch.jit.load(sys.argv[1])
encoded = model.encode_text(sys.argv[2:])
ids, mask = (encoded - 2).clamp_min(0), encoded > 0
with torch.inference_mode():
    expected = model(encoded)
    # Any id may be that of the padding.
    print((model.forward_ids(ids + 3 * ~mask, mask.int()) - expected).abs().max().item(), expected.shape[0])
"#;

#[test]
#[ignore = "needs Python torch: make test-python"]
fn a_program_that_tokenizes_itself_passes_ids_and_mask() {
    let folder = tempfile::tempdir().unwrap();
    let (model, options) = MODELS[3];
    let file = trained(folder.path(), model, options);
    let printed = python(&[&["-c", IDS, text(&file)][..], &TEXTS].concat());
    assert_eq!(printed.trim(), "0.0 6");
}
