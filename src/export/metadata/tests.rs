//! Tests of the metadata's consistency.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn valid() -> Value {
    json!({
        "format": FORMAT, "classes": ["a", "b"],
        "input": {
            "shape": [3], "dtypes": ["float32"], "value_range": null,
            "table": {
                "columns": [
                    { "name": "x", "position": 0, "kind": "number" },
                    { "name": "c", "position": 1, "kind": "category", "categories": ["r", "g"] },
                ],
                "width": 3, "label": { "name": "y", "position": 2 },
            },
        },
        "preprocessing": {
            "kind": "standardize", "offset": [0., 0., 0.], "scale": [1., 1., 1.], "fill": [0., 0., 0.],
            "shape": [3],
        },
        "metrics": {
            "epoch": 1, "train_rows": 8, "held_out_rows": 2, "held_out_loss": 0.1, "held_out": { "accuracy": 1. },
        },
        "config": { "model": "mlp" }, "seed": 0, "data_file": "t.csv", "data_sha256": "00",
        "cresset": "0.1.0", "libtorch": "2.11.0",
    })
}

fn problem(change: impl FnOnce(&mut Value)) -> String {
    let mut metadata = valid();
    change(&mut metadata);
    Metadata::read(&metadata.to_string()).unwrap_err()
}

#[test]
fn inconsistent_metadata_is_rejected_with_the_reason() {
    assert!(Metadata::read(&valid().to_string()).is_ok());
    assert!(Metadata::read("").unwrap_err().contains("was not exported by cresset"));
    assert!(Metadata::read("{").unwrap_err().contains("cannot be read"));
    assert!(problem(|m| m["format"] = "cresset-model-9".into()).contains("has the format `cresset-model-9`"));
    assert!(problem(|m| m["classes"] = json!([])).contains("it has no classes"));
    for shape in [json!([]), json!([0]), json!([-3]), json!([i64::MAX, 2])] {
        assert!(problem(|m| m["input"]["shape"] = shape).contains("the input shape is ["));
    }
    assert!(problem(|m| m["input"]["shape"] = json!([4])).contains("the number of features of the table"));
    assert!(problem(|m| m["input"]["table"]["header"] = json!(["a"])).contains("the header of the table"));
    assert!(
        problem(|m| m["input"]["table"]["width"] = json!(1)).contains("a column position is out of range")
    );
    assert!(problem(|m| m["input"]["table"]["label"]["position"] = json!(3)).contains("out of range"));
    assert!(problem(|m| m["input"]["value_range"] = json!({"min": 1, "max": 1})).contains("range is 1 to 1"));
    for field in ["offset", "scale", "fill"] {
        assert!(
            problem(|m| m["preprocessing"][field] = json!([0., 0.])).contains("the preprocessing values")
        );
    }
}

#[test]
fn paths_of_older_versions_are_reduced() {
    let mut metadata = valid();
    metadata["config"] = json!({ "data": "/home/ann/t.csv", "label": "km/h", "model": "/home/ann/net.pt" });
    let read = Metadata::read(&metadata.to_string()).unwrap();
    assert_eq!(Value::from(read.config), json!({ "data": "t.csv", "label": "km/h", "model": "net.pt" }));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", at in 0usize..900, with in "[\\[\\]{}\",:0-9a-z-]{0,12}") {
        let _ = Metadata::read(&text);
        let valid = valid().to_string();
        let at = at.min(valid.len());
        let rest = (at + with.len()).min(valid.len());
        let _ = Metadata::read(&format!("{}{with}{}", &valid[..at], &valid[rest..]));
        let _ = Metadata::read(&valid[..at]);
    }

    #[test]
    fn no_sizes_make_the_reader_panic(shape: Vec<i64>, offset: Vec<f32>, fill: Option<Vec<f32>>, position: usize) {
        let mut metadata = valid();
        metadata["input"]["shape"] = json!(shape);
        metadata["input"]["table"]["columns"][0]["position"] = json!(position);
        metadata["preprocessing"]["offset"] = json!(offset);
        metadata["preprocessing"]["fill"] = json!(fill);
        let _ = Metadata::read(&metadata.to_string());
    }
}
