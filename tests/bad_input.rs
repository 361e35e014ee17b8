//! Everything that can be wrong with what a user gives: each case ends in one paragraph that says where, with exit code 2,
//! and changes nothing on the disk.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

use cresset_bridge::script::{Module, Values};
use proptest::prelude::*;
use support::{cresset, stderr, succeed, text};
use tch::Tensor;

/// What libtorch and Rust say to programmers.
const FORBIDDEN: [&str; 6] =
    ["frame #", "Exception raised", "Internal torch error", "panicked", "unwrap", "RUST_BACKTRACE"];

/// Every file below a folder with its contents.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.insert(path.clone(), Vec::new());
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    files
}

/// Runs the program in `folder`, where it must be refused with these words and leave everything as it is.
fn refuse<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>, expected: &[&str]) {
    let before = snapshot(folder);
    let output = cresset().args(arguments).current_dir(folder).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(said.starts_with("error: "), "{said}");
    for words in expected {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
    let is_from_clap = said.contains("For more information, try '--help'");
    assert!(is_from_clap || said.lines().count() == 1, "more than one paragraph: {said}");
    assert!(FORBIDDEN.iter().all(|words| !said.contains(words)), "{said}");
    assert!(snapshot(folder) == before, "something on the disk changed");
}

/// A table whose rows are fine: two classes in ten rows.
fn good_table() -> String {
    (0..10).map(|row| format!("{row},{},{}\n", 10 - row, ["a", "b"][row % 2])).collect()
}

/// A model of the digits in `folder`, after one epoch.
fn digits_model(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    succeed(["train", "--epochs", "1", "--out", text(&run)]);
    run.join("model.pt")
}

fn digits_row(value: &str, label: &str) -> String {
    format!("{value},{}{label}\n", vec!["0"; 63].join(",") + if label.is_empty() { "" } else { "," })
}

#[test]
fn faulty_tables_name_file_line_and_column() {
    let long_line = format!("{}\n", "1,".repeat(100_000));
    let cases: [(&str, Vec<u8>, &[&str]); 19] = [
        ("empty", b"".to_vec(), &["t.csv: the file is empty"]),
        ("blank lines alone", b"\n\n\n".to_vec(), &["t.csv: the file is empty"]),
        ("a header alone", b"x,y,k\n".to_vec(), &["t.csv: the file holds a header and no rows"]),
        (
            "ragged",
            b"1,2,a\n3,b\n".to_vec(),
            &["t.csv, line 2: the row has 2 value(s), but the first row has 3"],
        ),
        ("text in a number", b"1,2,a\n3,x,b\n".to_vec(), &["t.csv, line 2, column 2: `x` is not a number"]),
        (
            "with a header",
            b"x,y,k\n1,2,a\n3,?,b\n".to_vec(),
            &["t.csv, line 3, column 2 (y): `?` is not a number"],
        ),
        ("NaN", b"1,2,a\nnan,2,b\n".to_vec(), &["t.csv, line 2, column 1: `nan` is not a finite number"]),
        (
            "infinity",
            b"1,2,a\n-inf,2,b\n".to_vec(),
            &["t.csv, line 2, column 1: `-inf` is not a finite number"],
        ),
        (
            "overflow",
            b"1,2,a\n1e60,2,b\n".to_vec(),
            &["t.csv, line 2, column 1: `1e60` is not a finite number"],
        ),
        ("a missing cell", b"1,2,a\n3,,b\n".to_vec(), &["t.csv, line 2, column 2: the value is missing"]),
        ("a missing label", b"1,2,a\n3,4,\n".to_vec(), &["t.csv, line 2: the row has no label"]),
        ("no labels", b"1,2,0.5\n3,4,0.25\n".to_vec(), &["t.csv, line 1: `0.5` is a fraction", "no label"]),
        ("one class", b"1,2,a\n3,4,a\n".to_vec(), &["t.csv: every row has the label `a`", "two classes"]),
        ("one row", b"1,2,a\n".to_vec(), &["t.csv: every row has the label `a`"]),
        ("a row a class", b"1,2,a\n3,4,b\n".to_vec(), &["t.csv: no class has two rows"]),
        ("not UTF-8", b"1,2,a\n3,\xff,b\n".to_vec(), &["t.csv, line 2, column 2: the text is not UTF-8"]),
        ("NUL bytes", vec![0; 5000], &["t.csv, line 1: a NUL byte stands here"]),
        ("an open quotation", b"1,2,a\n3,\"4,b\n5,6,a\n".to_vec(), &["t.csv, line 2", "quotation mark"]),
        ("one gigantic line", long_line.into_bytes(), &["t.csv"]),
    ];
    for (case, contents, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), contents).unwrap();
        eprintln!("{case}");
        refuse(folder.path(), ["train", "--data", "t.csv", "--out", "run"], expected);
    }
}

#[test]
fn data_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder.csv")).unwrap();
    std::fs::write(folder.path().join("t.xyz"), good_table()).unwrap();
    let cases: [(&str, &str); 6] = [
        ("absent.csv", "absent.csv: there is no such file"),
        ("digit", "did you mean `digits`?"),
        ("folder.csv", "folder.csv: cannot read the file: Is a directory"),
        ("t.xyz/below.csv", "t.xyz/below.csv"),
        ("t.xyz", "t.xyz: this is no format that can be read: a file's name ends in csv"),
        ("", "a value is required for '--data"),
    ];
    for (data, expected) in cases {
        refuse(folder.path(), ["train", "--data", data, "--out", "run"], &[expected]);
    }
}

#[test]
fn a_class_of_one_row_is_trained_on_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), good_table() + "5,5,c\n").unwrap();
    let output = cresset()
        .args(["train", "--data", "t.csv", "--epochs", "1", "--out", "run"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("t.csv, line 11: `c` has this row alone"), "{}", stderr(&output));
}

#[test]
fn rows_that_do_not_fit_the_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = digits_model(folder.path());
    let cases: [(&str, String, &str); 6] = [
        ("eval", digits_row("17", "3"), "t.csv, line 1, column 1: the value 17 is outside the range 0 to 16"),
        (
            "predict",
            digits_row("-1", ""),
            "t.csv, line 1, column 1: the value -1 is outside the range 0 to 16",
        ),
        ("eval", digits_row("1", "11"), "t.csv, line 1: the label `11` is none of the classes (0, 1, 2"),
        ("eval", digits_row("1", ""), "t.csv, line 1: the rows have 64 value(s) and no label"),
        ("eval", "1,2,3\n".into(), "t.csv, line 1: the row has 3 value(s), but the model takes 64"),
        ("predict", "1,2,3\n".into(), "t.csv, line 1: the row has 3 value(s), but the model takes 64"),
    ];
    for (command, contents, expected) in cases {
        std::fs::write(folder.path().join("t.csv"), contents).unwrap();
        refuse(folder.path(), [command, text(&model), "t.csv"], &[expected]);
    }
    refuse(folder.path(), ["eval", text(&model)], &["name the CSV file"]);
    refuse(folder.path(), ["predict", text(&model), "absent.csv"], &["absent.csv: cannot read the file"]);
}

#[test]
fn damaged_pictures_and_pictures_for_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = digits_model(folder.path());
    let picture = folder.path().join("p.png");
    image::GrayImage::new(8, 8).save(&picture).unwrap();
    let whole = std::fs::read(&picture).unwrap();
    for contents in [&whole[..whole.len() / 2], b"", b"no picture"] {
        std::fs::write(&picture, contents).unwrap();
        refuse(
            folder.path(),
            ["predict", text(&model), "p.png"],
            &["p.png: this is no PNG picture, or it is damaged"],
        );
    }
    std::fs::write(folder.path().join("p.jpg"), b"x").unwrap();
    refuse(folder.path(), ["predict", text(&model), "p.jpg"], &["p.jpg: pictures are read in PNG alone"]);

    std::fs::write(&picture, &whole).unwrap();
    std::fs::write(folder.path().join("t.csv"), good_table()).unwrap();
    let table_run = folder.path().join("table");
    succeed([
        "train",
        "--data",
        text(&folder.path().join("t.csv")),
        "--epochs",
        "1",
        "--out",
        text(&table_run),
    ]);
    let model = table_run.join("model.pt");
    refuse(folder.path(), ["predict", text(&model), "p.png"], &["p.png: the model takes rows of 2 values"]);
}

#[test]
fn folders_and_files_that_exist_are_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--epochs", "1", "--out", text(&run)]);
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/thesis.txt"), "years of work").unwrap();
    std::fs::write(folder.path().join("t.csv"), good_table()).unwrap();
    let out = |out: &str, expected: &str| {
        refuse(folder.path(), ["train", "--data", "t.csv", "--out", out], &[expected])
    };
    out("run", "run: this folder holds a run; go on with it by `--resume`");
    out("full", "full: this folder is not empty");
    out("full/thesis.txt", "no folder can be made here");
    out("full/thesis.txt/below", "no folder can be made here");
    refuse(folder.path(), ["export", "run", "--output", "t.csv"], &["--output t.csv: the file exists"]);
    refuse(folder.path(), ["export", "full", "--output", "m.pt"], &["full: this folder holds no run"]);
    refuse(folder.path(), ["eval", "full"], &["full: this folder holds no run"]);
}

#[test]
fn a_run_file_is_refused_with_its_line() {
    let cases: [(&[u8], &[&str]); 11] = [
        (b"lr = 0.1\nepoch = 3\n", &["run.toml, line 2: unknown option `epoch`; did you mean `epochs`?"]),
        (
            b"model = \"mlpp\"\n",
            &["run.toml, line 1: invalid value `mlpp` for `model`", "did you mean `mlp`?"],
        ),
        (b"\nlr = -1\n", &["run.toml, line 2: invalid value `-1` for `lr`: it is a number above 0"]),
        (b"seed = 1\nepochs = 0\n", &["run.toml, line 2: invalid value `0` for `epochs`"]),
        (b"epochs = [1]\n", &["run.toml, line 1: `epochs` takes one value"]),
        (b"epochs = true\n", &["run.toml, line 1: `epochs` takes one value"]),
        (b"[epochs]\na = 1\n", &["run.toml, line 1: `epochs` takes one value"]),
        (b"lr = 1\nlr = 2\n", &["run.toml, line 2", "this is no TOML"]),
        (b"seed = = 3\n", &["run.toml, line 1, column 8: this is no TOML"]),
        (b"lr = 1\ndata = \"\xff\"\n", &["run.toml, line 2, column 9: the text is not UTF-8"]),
        (b"data = \"absent.csv\"\n", &["absent.csv: there is no such file"]),
    ];
    for (contents, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("run.toml"), contents).unwrap();
        refuse(folder.path(), ["train", "--config", "run.toml", "--out", "run"], expected);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    refuse(folder.path(), ["train", "--config", "absent.toml"], &["absent.toml: cannot read the run file"]);
    refuse(folder.path(), ["train", "--config", "folder"], &["folder: cannot read the run file"]);
}

#[test]
fn options_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("--epochs", "0", "from 1 to"),
        ("--epochs", "-3", "from 1 to"),
        ("--batch-size", "0", "from 1 to"),
        ("--lr", "nan", "a number above 0"),
        ("--lr", "-1", "a number above 0"),
        ("--lr", "inf", "a number above 0"),
        ("--held-out", "0", "between 0 and 1"),
        ("--held-out", "1", "between 0 and 1"),
        ("--seed", "-1", "from 0 to"),
        ("--threads", "0", "a number from 1 to"),
        ("--device", "tpu", "`auto`, `cpu`, `cuda` or `cuda:N`"),
        ("--model", "mpl", "mlp"),
        ("--optimizer", "adm", "adam"),
        ("--epoch", "3", "--epochs"),
    ];
    for (option, value, expected) in cases {
        refuse(folder.path(), ["train", option, value], &[expected]);
    }
    refuse(folder.path(), ["predict"], &["<MODEL>"]);
    refuse(folder.path(), ["export", "run"], &["--output"]);
    refuse(folder.path(), ["trian"], &["train"]);
}

fn save_foreign(path: &Path, extra: &[(&str, &str)]) {
    const SOURCE: &str = "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  \
                          training : bool\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return x\n";
    let mut values = Values::new();
    values.put_tensor("w", &Tensor::from(1f32)).unwrap();
    Module::from_source(SOURCE, "__torch__.M", &values).unwrap().save(path, extra).unwrap();
}

#[test]
fn foreign_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = digits_model(folder.path());
    let refuse = |name: &str, expected: &str| {
        refuse(folder.path(), ["predict", name, "run/split.csv"], &[expected]);
    };
    save_foreign(&folder.path().join("foreign.pt"), &[]);
    refuse("foreign.pt", "foreign.pt: this TorchScript model was not exported by cresset");
    save_foreign(&folder.path().join("broken.pt"), &[("metadata.json", "{\"classes\":")]);
    refuse("broken.pt", "broken.pt: its metadata.json cannot be read");
    let (_, mut extra) = Module::load(&model, tch::Device::Cpu, &["metadata.json"]).unwrap();
    let other = extra.remove(0).replace("cresset-model-1", "cresset-model-9");
    save_foreign(&folder.path().join("newer.pt"), &[("metadata.json", &other)]);
    refuse("newer.pt", "has the format `cresset-model-9`, this version of cresset reads `cresset-model-1`");
    refuse("run/checkpoints/best.safetensors", "this is no TorchScript model, or it is damaged");
    refuse("run/split.csv", "this is no TorchScript model, or it is damaged");
    refuse("absent.pt", "absent.pt: cannot read the model");
    refuse("run", "run: this is a folder; name a model file");
}

#[test]
fn no_damaged_model_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let model = digits_model(folder.path());
    let whole = std::fs::read(&model).unwrap();
    let damaged = folder.path().join("damaged.pt");
    let check = |contents: &[u8]| {
        std::fs::write(&damaged, contents).unwrap();
        refuse(folder.path(), ["predict", "damaged.pt", "run/split.csv"], &["damaged.pt: "]);
    };
    for part in 0..8 {
        check(&whole[..whole.len() * part / 8]);
    }
    // Somewhere in the weights, which fill most of the file.
    for part in [3, 5] {
        let mut flipped = whole.clone();
        flipped[whole.len() * part / 8] ^= 0x10;
        check(&flipped);
    }
}

fn ends_well_or_refused(output: &Output) {
    let said = stderr(output);
    assert!(matches!(output.status.code(), Some(0 | 2)), "{:?} {said}", output.status);
    assert!(FORBIDDEN.iter().all(|words| !said.contains(words)), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_bytes_make_the_program_fail(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t.csv", "t.toml", "t.pt"] {
            std::fs::write(folder.path().join(name), &bytes).unwrap();
        }
        let run = |arguments: &[&str]| cresset().args(arguments).current_dir(folder.path()).output().unwrap();
        ends_well_or_refused(&run(&["train", "--data", "t.csv", "--epochs", "1", "--out", "a"]));
        ends_well_or_refused(&run(&["train", "--config", "t.toml", "--epochs", "1", "--out", "b"]));
        ends_well_or_refused(&run(&["predict", "t.pt", "t.csv"]));
    }
}
