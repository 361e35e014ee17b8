//! Models of recommendations in other formats and in fewer bits.

use std::path::Path;

use crate::support::onnx::python;
use crate::support::targets::clicks_run;
use crate::support::{run, stderr, succeed, text};
use cresset::export::EXPORT_FORMATS;
use cresset::predict::{Query, Recommender};
use tch::{Device, Tensor};

/// The items of all users, and their scores.
fn recommended(model: &Path) -> Vec<Vec<(String, f32)>> {
    let recommender = Recommender::load(model, Device::Cpu).unwrap();
    let query = |user: i64| Query { user, count: 5, exclude: vec![2] };
    let queries: Vec<Query> = (-1..60).map(query).collect();
    let answers = recommender.answer(&queries).unwrap().into_iter();
    answers.map(|items| items.into_iter().map(|found| (found.item, found.score)).collect()).collect()
}

/// Fails unless nine of ten recommendations are the same, with scores that differ by at most `most`.
fn assert_close(found: &[Vec<(String, f32)>], expected: &[Vec<(String, f32)>], most: f32) {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    let differs = |((item, score), (other, expected)): &(&(String, f32), &(String, f32))| {
        assert!((score - expected).abs() < most, "{item} {score}, {other} {expected}");
        item != other
    };
    let (all, others) = (pairs.clone().count(), pairs.filter(differs).count());
    assert!(all > 300 && 10 * others < all, "{others} of {all} differ");
}

#[test]
fn every_format_is_written_and_variants_recommend_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let expected = recommended(&out.join("model.pt"));
    for format in EXPORT_FORMATS {
        let file = folder.path().join(format!("model.{}", format.extension));
        let said = succeed(["export", text(&out), "--output", text(&file)]);
        assert!(said.contains("validation NDCG@10") && file.is_file(), "{said}");
    }
    assert_close(&recommended(&folder.path().join("model.pt")), &expected, 1e-5);
    for (name, options, most) in [
        ("frozen", &["--freeze"][..], 1e-4),
        ("optimized", &["--optimize"], 1e-4),
        ("bf16", &["--dtype", "bf16"], 0.1),
        ("fp16", &["--dtype", "fp16"], 0.02),
    ] {
        let file = folder.path().join(format!("{name}.pt"));
        succeed(["export", text(&out), "--output", text(&file)].iter().chain(options));
        assert_close(&recommended(&file), &expected, most);
        succeed(["inspect", text(&file), "--verify"]);
        succeed(["recommend", text(&file), "--user", "u7"]);
    }
    let said = succeed(["inspect", text(&out.join("model.pt"))]);
    assert!(said.contains("input       60 users, 52 items") && said.contains("recommend"), "{said}");
    let last = folder.path().join("last.pt");
    succeed(["export", text(&out), "--checkpoint", "last", "--output", text(&last)]);
    assert_eq!(recommended(&last).len(), 61);
}

#[test]
fn vectors_in_fewer_bits_recommend_nearly_the_same_and_are_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let printed = succeed(["compress", text(&out), "--quantize", "int8", "--dtype", "bf16"]);
    assert!(printed.contains("NDCG@10") && printed.contains("int8"), "{printed}");
    let expected = recommended(&out.join("model.pt"));
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    for (name, most) in [("int8", 0.1), ("bf16", 0.1)] {
        let file = out.join(format!("compressed/{name}.pt"));
        assert!(size(&file) < size(&out.join("model.pt")));
        assert_close(&recommended(&file), &expected, most);
        succeed(["inspect", text(&file), "--verify"]);
    }
    let table = std::fs::read_to_string(out.join("compressed/compression.csv")).unwrap();
    let names = table.lines().map(|line| line.split(',').next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["model", "original", "bf16", "int8"]);
    assert!(table.starts_with("model,file,ndcg@10,ndcg@10_low,ndcg@10_high,"), "{table}");
    let again = run([
        "export",
        text(&out.join("compressed/int8.pt")),
        "--output",
        text(&folder.path().join("x.pth")),
    ]);
    assert!(stderr(&again).contains("it is quantized"), "{}", stderr(&again));
}

/// Scores pairs of indexes, and finds an item by its name.
const PROGRAM: &str = r#"
import json, sys, numpy, onnx, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
pairs = numpy.array([pair.split(",") for pair in sys.argv[2].split()], dtype=numpy.float32)
[scores] = session.run(["scores"], {"input": pairs})
notes = {entry.key: entry.value for entry in onnx.load(sys.argv[1]).metadata_props}
users, items = json.loads(notes["cresset.metadata"])["input"]["table"]["columns"]
assert "u7" in users["categories"] and "i3" in items["categories"]
print(*scores.reshape(-1))
"#;

#[test]
#[ignore = "needs Python onnxruntime: make test"]
fn pairs_of_indexes_have_the_same_scores_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let file = folder.path().join("model.onnx");
    succeed(["export", text(&out), "--output", text(&file)]);
    let exported = cresset::predict::exported(&out.join("model.pt")).unwrap();
    let pairs = Tensor::from_slice2(&[[0f32, 1.], [59., 51.], [-1., 3.], [7., -1.]]);
    let expected = tch::no_grad(|| exported.module.call("forward", &pairs)).unwrap().remove(0);
    let printed = python(&["-c", PROGRAM, text(&file), "0,1 59,51 -1,3 7,-1"]);
    let scores: Vec<f32> = printed.split_whitespace().map(|score| score.parse().unwrap()).collect();
    let expected = Vec::<f32>::try_from(expected.view(-1)).unwrap();
    assert_eq!(scores.len(), 4);
    assert!(scores.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{scores:?} {expected:?}");
}
