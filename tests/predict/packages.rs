//! torch.export packages in the commands that take model.pt.

use std::path::{Path, PathBuf};

use crate::archives::{Members, change_json, member, members, write};
use crate::support::{root, run, stderr, succeed, text, train_once, unlabelled_digits};
use serde_json::{Value, json};

/// The model and the package of a run on the digits.
fn exported(folder: &Path, options: &[&str]) -> (PathBuf, PathBuf) {
    let (out, package) = (folder.join("run"), folder.join("mine.pt2"));
    train_once(&out, options);
    succeed(["export", text(&out), "--output", text(&package)]);
    (out.join("model.pt"), package)
}

/// Fails unless two CSV outputs differ only by rounding.
pub fn assert_close(a: &str, b: &str) {
    assert_eq!(a.lines().count(), b.lines().count(), "{a}\n{b}");
    for (a, b) in a.lines().zip(b.lines()) {
        for (x, y) in a.split([',', ' ']).zip(b.split([',', ' '])) {
            match (x.parse::<f64>(), y.parse::<f64>()) {
                (Ok(x), Ok(y)) => assert!((x - y).abs() <= 2e-5 * x.abs().max(1.), "{a}\n{b}"),
                _ => assert_eq!(x, y, "{a}\n{b}"),
            }
        }
    }
}

#[test]
fn a_package_is_classified_with_evaluated_and_verified_like_its_model() {
    let folder = tempfile::tempdir().unwrap();
    for options in
        [&["--epochs", "1"][..], &["--epochs", "1", "--model", "cnn", "--model-options", "width=4"]]
    {
        let (model, package) = exported(folder.path(), options);
        let rows = unlabelled_digits(folder.path(), 70);
        let predict = |file: &Path| {
            succeed(["predict", text(file), text(&rows), "--probabilities", "--batch-size", "32"])
        };
        assert_close(&predict(&model), &predict(&package));
        assert_close(
            &succeed(["eval", text(&model), "data/digits.csv"]),
            &succeed(["eval", text(&package), "data/digits.csv"]),
        );
        let said = succeed(["inspect", text(&package), "--verify"]);
        assert!(
            said.contains("parameters  as recorded") && said.contains("samples     as recorded: 4"),
            "{said}"
        );
        std::fs::remove_dir_all(folder.path().join("run")).unwrap();
        std::fs::remove_file(package).unwrap();
    }
}

#[test]
fn packages_of_labels_numbers_and_tables_with_missing_values_are_classified_like_their_models() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let rows: String = (0..60)
        .map(|row| {
            let size = if row % 7 == 0 { String::new() } else { row.to_string() };
            format!(
                "{size},{},{}\n",
                ["red", "green", "blue"][row % 3],
                if row % 3 == 0 { "hot" } else { "cold" }
            )
        })
        .collect();
    std::fs::write(&table, format!("size,color,label\n{rows}")).unwrap();
    for (name, options) in [
        ("table", ["--data", text(&table), "--missing", "mean", "--recipe", "none"]),
        ("diabetes", ["--data", "diabetes", "--task", "regression", "--recipe", "none"]),
    ] {
        let (out, package) = (folder.path().join(name), folder.path().join(format!("{name}.pt2")));
        succeed(["train", "--epochs", "2", "--out", text(&out)].iter().chain(&options));
        succeed(["export", text(&out), "--output", text(&package)]);
        let data = if name == "table" { table.clone() } else { root().join("data/diabetes.csv") };
        let model = out.join("model.pt");
        assert_close(
            &succeed(["predict", text(&model), text(&data)]),
            &succeed(["predict", text(&package), text(&data)]),
        );
        assert_close(
            &succeed(["eval", text(&model), text(&data)]),
            &succeed(["eval", text(&package), text(&data)]),
        );
        succeed(["inspect", text(&package), "--verify"]);
    }
}

#[test]
fn a_package_is_explained_by_occlusion_and_methods_with_gradients_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let (model, package) = exported(folder.path(), &["--epochs", "1"]);
    let explain = |file: &Path, method: &str| {
        let out = folder.path().join(file.extension().unwrap());
        run([
            "explain",
            text(file),
            "data/digits.csv",
            "--limit",
            "2",
            "--method",
            method,
            "--out",
            text(&out),
        ])
    };
    assert!(explain(&model, "occlusion").status.success() && explain(&package, "occlusion").status.success());
    for name in ["digits-1.occlusion.npy", "digits-2.occlusion.npy"] {
        let read = |format: &str| tch::Tensor::read_npy(folder.path().join(format).join(name)).unwrap();
        assert!(read("pt").allclose(&read("pt2"), 1e-4, 1e-4, false));
    }
    for method in ["integrated-gradients", "smooth-grad", "grad-cam"] {
        let refused = explain(&package, method);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("`--method occlusion` needs no gradients"), "{}", stderr(&refused));
    }
}

#[test]
fn commands_that_need_torchscript_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_, package) = exported(folder.path(), &["--epochs", "1"]);
    let out = folder.path().join("other");
    for arguments in [
        vec!["export", text(&package), "--output", text(&out)],
        vec!["embed", text(&package), "--data", "digits", "--out", text(&out)],
        vec!["predict", text(&package), "data/digits.csv", "--embeddings", text(&out)],
    ] {
        let refused = run(&arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", stderr(&refused));
        let said = stderr(&refused);
        assert!(
            said.contains(
                "needs a TorchScript file, such as model.pt, and the model is a torch.export package"
            ),
            "{said}"
        );
    }
}

#[test]
fn a_model_starts_from_the_weights_of_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let (_, package) = exported(folder.path(), &["--epochs", "1"]);
    let out = folder.path().join("next");
    let output = run(["train", "--epochs", "1", "--init", text(&package), "--out", text(&out), "--verbose"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("4 of 4 tensors"), "{}", stderr(&output));
}

#[test]
fn a_package_is_a_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let (_, package) = exported(folder.path(), &["--epochs", "1"]);
    let run = folder.path().join("run");
    succeed(["compress", text(&run), "--distill", text(&package), "--epochs", "1", "--teacher-share", "1"]);
}

/// Writes a changed copy of a package.
fn changed(package: &Path, change: impl FnOnce(&mut Members)) -> PathBuf {
    let path = package.with_file_name("changed.pt2");
    let mut all = members(package);
    change(&mut all);
    write(&path, &all);
    path
}

const MODEL: &str = "models/model.json";

#[test]
fn a_package_with_a_fixed_batch_size_is_run_in_batches_of_this_size() {
    let folder = tempfile::tempdir().unwrap();
    let (_, package) = exported(folder.path(), &["--epochs", "1"]);
    let rows = unlabelled_digits(folder.path(), 33);
    let expected = succeed(["predict", text(&package), text(&rows), "--probabilities"]);
    for (least, most) in [(5, 5), (1, 4), (50, 90)] {
        let path = changed(&package, |all| {
            change_json(all, MODEL, |program| {
                program["range_constraints"]["s0"] = json!({"min_val": least, "max_val": most});
                if least == most {
                    program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0] =
                        json!({"as_int": least});
                }
            });
        });
        assert_close(&succeed(["predict", text(&path), text(&rows), "--probabilities"]), &expected);
        succeed(["inspect", text(&path), "--verify"]);
    }
}

/// A change of the members of a package.
type Change = Box<dyn FnOnce(&mut Members)>;

#[test]
fn packages_that_cannot_run_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_, package) = exported(folder.path(), &["--epochs", "1"]);
    let graph = |change: fn(&mut Value)| {
        move |all: &mut Members| change_json(all, MODEL, |program| change(&mut program["graph_module"]))
    };
    let cases: Vec<(Change, &str)> = vec![
        (
            Box::new(|all| change_json(all, MODEL, |program| program["schema_version"]["major"] = json!(9))),
            "its schema has the version 9.17, but this version of cresset reads 8; export it with the PyTorch version 2.11.0",
        ),
        (
            Box::new(|all| *member(all, "archive_version") = b"1".to_vec()),
            "its archive_version is `1`, but this version of cresset reads `0`",
        ),
        (Box::new(|all| *member(all, "byteorder") = b"big".to_vec()), "its byteorder is `big`"),
        (
            Box::new(|all| all.push(("model/models/other.json".to_string(), b"{}".to_vec()))),
            "the package has 2 models (`model`, `other`)",
        ),
        (
            Box::new(|all| all.retain(|(name, _)| !name.ends_with(MODEL))),
            "the package has no graph (models/model.json)",
        ),
        (
            Box::new(|all| all.push(("model/../../evil".to_string(), b"x".to_vec()))),
            "its member `model/../../evil` is outside of the archive's folder",
        ),
        (
            Box::new(|all| all.push(("/etc/evil".to_string(), b"x".to_vec()))),
            "its member `/etc/evil` is outside",
        ),
        (
            Box::new(|all| all.retain(|(name, _)| !name.ends_with("metadata.json"))),
            "this is a torch.export package that was not exported by cresset: it has no metadata.json",
        ),
        (
            Box::new(|all| {
                change_json(all, "metadata.json", |metadata| metadata["input"]["shape"] = json!([1, 4, 16]))
            }),
            "the input `x` of the package takes examples of 1×8×8, but its metadata describes examples of 1×4×16",
        ),
        (
            Box::new(|all| {
                member(all, "weights/weight_0").truncate(100);
            }),
            "needs 32768 bytes, but its member `data/weights/weight_0` has 100",
        ),
        (
            Box::new(|all| all.retain(|(name, _)| !name.ends_with("weights/weight_0"))),
            "has no member `data/weights/weight_0`",
        ),
        (
            Box::new(|all| {
                change_json(all, "model_weights_config.json", |config| {
                    config["config"]["fc1.weight"]["tensor_meta"]["sizes"][0] = json!({"as_int": 1});
                })
            }),
            "the tensor `fc1.weight` is described in two different ways",
        ),
        (
            Box::new(|all| {
                change_json(all, "model_weights_config.json", |config| {
                    config["config"]["fc1.weight"]["path_name"] = json!("../../x");
                })
            }),
            "the description of the tensor `fc1.weight` is damaged",
        ),
        (
            Box::new(|all| {
                change_json(all, "model_weights_config.json", |config| {
                    config["config"]["fc1.weight"]["use_pickle"] = json!(true);
                })
            }),
            "the tensor `fc1.weight` is a Python object",
        ),
        (
            Box::new(graph(|module| {
                module["graph"]["nodes"][0]["target"] = json!("torch.ops.aten.from_file.default");
            })),
            "the package calls `torch.ops.aten.from_file.default`, which no classifier needs",
        ),
        (
            Box::new(graph(|module| {
                module["graph"]["inputs"].as_array_mut().unwrap().push(json!({"as_tensor": {"name": "y"}}));
                let specs = module["signature"]["input_specs"].as_array_mut().unwrap();
                let mut second = specs.last().unwrap().clone();
                second["user_input"]["arg"]["as_tensor"]["name"] = json!("y");
                specs.push(second);
            })),
            "the package cannot run: it has 2 inputs (`x`, `y`)",
        ),
        (
            Box::new(graph(|module| {
                module["graph"]["tensor_values"]["x"]["device"]["type"] = json!("cuda");
            })),
            "runs on a device of the type cuda",
        ),
        (
            Box::new(graph(|module| {
                let last = module["graph"]["nodes"].as_array_mut().unwrap().last_mut().unwrap();
                last["inputs"][0]["arg"]["as_tensor"]["name"] = json!("nowhere");
            })),
            "libtorch cannot run the package",
        ),
    ];
    for (change, says) in cases {
        let path = changed(&package, change);
        let refused = run(["predict", text(&path), "data/digits.csv"]);
        assert!(
            refused.status.code() == Some(2) && stderr(&refused).contains(says),
            "{says}: {}",
            stderr(&refused)
        );
    }
}

#[test]
fn a_damaged_package_is_refused_and_changed_weights_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (_, package) = exported(folder.path(), &["--epochs", "1"]);
    let bytes = std::fs::read(&package).unwrap();
    let damaged = folder.path().join("damaged.pt2");
    for length in [0, 1, 30, 1000, bytes.len() / 2, bytes.len() - 1000, bytes.len() - 1] {
        std::fs::write(&damaged, &bytes[..length]).unwrap();
        let refused = run(["predict", text(&damaged), "data/digits.csv"]);
        assert_eq!(refused.status.code(), Some(2), "{length}: {}", stderr(&refused));
    }
    // In the weights, which are about all of the file.
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 4] ^= 1;
    std::fs::write(&damaged, &flipped).unwrap();
    let refused = run(["predict", text(&damaged), "data/digits.csv"]);
    assert!(stderr(&refused).contains("has changed since it was written"), "{}", stderr(&refused));

    let path = changed(&package, |all| member(all, "weights/weight_0")[..2000].fill(0));
    let output = run(["inspect", text(&path), "--verify"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    assert!(said.contains("CHANGED since") && said.contains("DIFFERENT RESULTS"), "{said}");

    let path = changed(&package, |all| all.retain(|(name, _)| !name.ends_with("verification.json")));
    let refused = run(["inspect", text(&path), "--verify"]);
    assert!(stderr(&refused).contains("the file has no verification.json"), "{}", stderr(&refused));
}
