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
