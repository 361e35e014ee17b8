//! Everything that can be wrong with what a user gives: each case ends in one paragraph that says where, with exit code 2
//! (1 where the system refuses), and changes nothing on the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::{cresset, stderr, succeed, text, train_once};
use cresset::predict::Classifier;
use cresset_bridge::script::{Module, Values};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

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

/// Runs `cresset` with these arguments in `folder`, where it must be refused with the words `expected` and leave
/// everything as it is.
fn refuse(folder: &Path, arguments: &str, expected: &str) {
    end_with(2, folder, arguments, expected);
}

fn end_with(code: i32, folder: &Path, arguments: &str, expected: &str) {
    let before = snapshot(folder);
    let output = cresset().args(arguments.split(' ')).current_dir(folder).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains(expected), "`{expected}` is not in {said}");
    let is_from_clap = said.contains("For more information, try '--help'");
    assert!(is_from_clap || said.lines().count() == 1, "more than one paragraph: {said}");
    assert!(said.len() < 1000, "{} bytes: {said}", said.len());
    assert!(FORBIDDEN.iter().all(|words| !said.contains(words)), "{said}");
    assert!(snapshot(folder) == before, "something on the disk changed");
}

/// A table whose rows are fine: two classes in ten rows.
fn good_table() -> String {
    (0..10).map(|row| format!("0.00{row},{},{}\n", 10 - row, ["a", "b"][row % 2])).collect()
}

/// Makes run/model.pt of the digits in `folder`, after one epoch.
fn digits_model(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    train_once(&run, &["--epochs", "1"]);
    run.join("model.pt")
}

/// Makes table/model.pt of [`good_table`] in `folder`, after one epoch.
fn table_model(folder: &Path) {
    let (table, run) = (folder.join("table.csv"), folder.join("table"));
    std::fs::write(&table, good_table()).unwrap();
    // Quantile normalization, which the recipe chooses, maps a value of any size to a finite one.
    let arguments = ["--recipe", "none", "--epochs", "1", "--out", text(&run)];
    succeed(["train", "--data", text(&table)].iter().chain(&arguments));
}

/// A row of 64 values, with `value` first and 0 behind it.
fn digits_row(value: &str, label: &str) -> String {
    format!("{value},{}{label}\n", vec!["0"; 63].join(",") + if label.is_empty() { "" } else { "," })
}

#[test]
fn faulty_tables_name_file_line_and_column() {
    let long_line = "1,".repeat(100_000);
    let long_cell = format!("1,2,a\n3,{},b\n", "x".repeat(100_000));
    let shown = format!(", line 2, column 2: `{}…` is not a number", "x".repeat(60));
    let open = "; a quotation mark in this row is not closed";
    let cases: [(&[u8], &str); 25] = [
        (b"", ": the file is empty"),
        (b"\n\n\n", ": the file is empty"),
        (b"x,y,k\n", ": the file has a header but no rows"),
        (b"1,2,a\n3,b\n", ", line 2: the row has 2 value(s), but the first row has 3"),
        (b"1,2,a\n3,x,b\n", ", line 2, column 2: `x` is not a number"),
        (b"x,y,k\n1,2,a\n3,?,b\n", ", line 3, column 2 (y): missing value (`?`); fill it in, "),
        (b"x,y,k\n1,2,a\n3,!,b\n", ", line 3, column 2 (y): `!` is not a number"),
        (b"1,2,a\nnan,2,b\n", ", line 2, column 1: missing value (`nan`)"),
        (b"1,2,a\n-inf,2,b\n", ", line 2, column 1: `-inf` is not a finite number"),
        (b"1,2,a\n1e60,2,b\n", ", line 2, column 1: `1e60` is not a finite number"),
        (b"1,2,a\n3,,b\n", ", line 2, column 2: missing value"),
        (b"1,2,a\r\n\r\n\r\n3,x,b\r\n", ", line 4, column 2: `x` is not a number"),
        (b"1,2,a\n3,4,\n", ", line 2: the row has no label"),
        (b"1,2,a\n3,4,NaN\n", ", line 2: `NaN` is not a class"),
        (b"1,2,0.5\n3,4,0.25\n", ", line 1: `0.5` is a fraction, so column 3 is not a label column"),
        (b"1,2,a\n3,4,a\n", ": every example has the label `a`; a classifier needs at least two classes"),
        (b"1,2,a\n", ": every example has the label `a`"),
        (b"1,2,a\n3,4,b\n", ": no class has two examples"),
        (b"1,2,a\n3,\xff,b\n", ", line 2, column 2: the text is not UTF-8"),
        (&[0; 5000], ", line 1: unexpected NUL byte"),
        (
            b"1 2 a\n3 4 b\n",
            ", line 1: a row needs at least one value and a label, separated by commas, tabs, ",
        ),
        (
            b"1,2,a\n3,\"4,b\n5,6,a\n",
            &format!(", line 2: the row has 2 value(s), but the first row has 3{open}"),
        ),
        (
            b"1,2,a\n3,4,\"b\n5,6,a\n",
            &format!(", line 2: the label `b\\n5,6,a` has more than one line{open}"),
        ),
        (long_line.as_bytes(), ", line 1: the row has no label"),
        (long_cell.as_bytes(), &shown),
    ];
    for (contents, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), contents).unwrap();
        refuse(folder.path(), "train --data t.csv --missing error --out run", &format!("t.csv{expected}"));
    }
}

#[test]
fn data_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder.csv")).unwrap();
    std::fs::write(folder.path().join("t.xyz"), good_table()).unwrap();
    let cases: [(&str, &str); 6] = [
        ("absent.csv", "absent.csv: no such file or data set (known by name: digits"),
        ("digit", "did you mean `digits`?"),
        ("folder.csv", "folder.csv: cannot read the file: Is a directory"),
        ("t.xyz/below.csv", "t.xyz/below.csv: cannot read the file: Not a directory"),
        (
            "t.xyz",
            "t.xyz: unknown data format; set it with --format. The formats are: a table of image file names and labels (a .csv or .jsonl next to ",
        ),
        ("", "a value is required for '--data"),
    ];
    for (data, expected) in cases {
        refuse(folder.path(), &format!("train --data {data} --out run"), expected);
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
    assert!(
        stderr(&output).contains("t.csv, line 11: this is the only example of class `c`"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn rows_that_do_not_fit_the_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    digits_model(folder.path());
    let cases = [
        ("eval", digits_row("17", "3"), ", column 1: the value 17 is outside the range 0 to 16"),
        ("eval", digits_row("1", "11"), ": unknown label `11`; the classes are 0, 1, 2"),
        ("eval", digits_row("1", "0.5"), ": unknown label `0.5`; the classes are"),
        ("eval", digits_row("1", ""), ": the rows have 64 value(s) and no label"),
        ("eval", "1,2,3\n".into(), ": the row has 3 value(s), but the model takes 64"),
    ];
    for (command, contents, expected) in cases {
        std::fs::write(folder.path().join("t.csv"), contents).unwrap();
        refuse(folder.path(), &format!("{command} run/model.pt t.csv"), &format!("t.csv, line 1{expected}"));
    }
    refuse(folder.path(), "eval run/model.pt", "missing argument DATA");
}

/// Runs `cresset predict` on one input, which must be a row with an error that holds the words `expected`, and leave
/// everything as it is.
fn fail(folder: &Path, model: &str, input: &str, place: &str, expected: &str) {
    let before = snapshot(folder);
    let output = cresset().args(["predict", model, input]).current_dir(folder).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said, "1 of 1 inputs could not be classified\n");
    let rows: Vec<_> =
        csv::Reader::from_reader(&output.stdout[..]).into_records().map(Result::unwrap).collect();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let error = &row[row.len() - 1];
    assert!(&row[0] == place && error.contains(expected), "`{expected}` is not in {row:?}");
    assert!(row.iter().skip(1).take(row.len() - 2).all(str::is_empty), "{row:?}");
    assert!(error.len() < 1000 && FORBIDDEN.iter().all(|words| !error.contains(words)), "{error}");
    assert!(snapshot(folder) == before, "something on the disk changed");
}

#[test]
fn an_input_that_does_not_fit_the_model_is_a_row_with_its_error() {
    let folder = tempfile::tempdir().unwrap();
    digits_model(folder.path());
    for (contents, place, expected) in [
        (digits_row("-1", ""), "t.csv:1", "column 1: the value -1 is outside the range 0 to 16"),
        ("1,2,3\n".into(), "t.csv:1", "the row has 3 value(s), but the model takes 64"),
        (digits_row("1", "3,4"), "t.csv:1", "the row has 66 value(s), but the model takes 64"),
        (digits_row("x", ""), "t.csv:1", "column 1: `x` is not a number"),
        (digits_row("1\0", ""), "t.csv:1", "unexpected NUL byte"),
        (String::new(), "t.csv", "the file is empty"),
    ] {
        std::fs::write(folder.path().join("t.csv"), contents).unwrap();
        fail(folder.path(), "run/model.pt", "t.csv", place, expected);
    }
    std::fs::write(folder.path().join("t.csv.gz"), "no gzip").unwrap();
    fail(folder.path(), "run/model.pt", "t.csv.gz", "t.csv.gz:1", "cannot read the file: ");
    for absent in ["absent.csv", "absent.png"] {
        fail(folder.path(), "run/model.pt", absent, absent, "cannot read the file: No such file");
    }
    fail(folder.path(), "run/model.pt", "*.bmp", "*.bmp", "no file matches this pattern");
}

#[test]
fn damaged_images_and_images_for_tables_are_rows_with_their_errors() {
    let folder = tempfile::tempdir().unwrap();
    digits_model(folder.path());
    let image = folder.path().join("p.png");
    image::GrayImage::new(8, 8).save(&image).unwrap();
    let whole = std::fs::read(&image).unwrap();
    for (contents, problem) in [
        (&whole[..whole.len() / 2], "the image is damaged"),
        (b"", "this is not an image in a supported format"),
        (b"no image", "this is not an image in a supported format"),
    ] {
        std::fs::write(&image, contents).unwrap();
        fail(folder.path(), "run/model.pt", "p.png", "p.png", problem);
    }

    std::fs::write(&image, &whole).unwrap();
    table_model(folder.path());
    fail(folder.path(), "table/model.pt", "p.png", "p.png", "the model takes rows of 2 values");
}

#[test]
fn non_finite_inputs_give_no_metrics() {
    let folder = tempfile::tempdir().unwrap();
    table_model(folder.path());
    // Standardised by a deviation of a few thousandths, this exceeds the greatest float32.
    std::fs::write(folder.path().join("huge.csv"), "3e38,2,b\n").unwrap();
    fail(
        folder.path(),
        "table/model.pt",
        "huge.csv",
        "huge.csv:1",
        "the logits of this input are NaN or infinite",
    );
    refuse(folder.path(), "eval table/model.pt huge.csv", "the logits of some examples are NaN or infinite");
}

#[test]
fn folders_and_files_that_exist_are_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    digits_model(folder.path());
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/thesis.txt"), "years of work").unwrap();
    std::fs::write(folder.path().join("t.csv"), good_table()).unwrap();
    let out = |out: &str, expected: &str| {
        refuse(folder.path(), &format!("train --data t.csv --out {out}"), expected)
    };
    out("run", "run: this folder holds a run; continue it with `--resume`");
    out("full", "full: this folder is not empty");
    out("full/thesis.txt", "cannot create a folder");
    out("full/thesis.txt/below", "cannot create a folder");
    refuse(folder.path(), "export run --output t.csv", "--output t.csv: the file exists");
    // Where the system lets nobody write, not even root.
    for unwritable in ["t.csv/m.pt", "absent/m.pt", "/proc/m.pt"] {
        let arguments = &format!("export run --output {unwritable}");
        end_with(1, folder.path(), arguments, "cannot write to the folder ");
    }
    let arguments = "train --data t.csv --out /proc/run";
    end_with(1, folder.path(), arguments, "cannot create the run folder /proc/run: ");
    refuse(folder.path(), "export full --output m.pt", "full: this folder holds no run");
    refuse(folder.path(), "eval full", "full: this folder holds no run");
}

#[test]
fn a_run_file_is_refused_with_its_line() {
    let cases: [(&[u8], &str); 12] = [
        (b"lr = 0.1\nepoch = 3\n", "line 2: unknown option `epoch`; did you mean `epochs`?"),
        (b"\n\"a\\nb\" = 1\n", "line 2: unknown option `a\\nb`. The options are data, "),
        (
            b"model = \"mlpp\"\n",
            "line 1: invalid value `mlpp` for `model`: expected a model that `cresset models` lists, or a TorchScript file such as model.pt; did you mean `mlp`?",
        ),
        (b"\nlr = -1\n", "line 2: invalid value `-1` for `lr`: expected a number above 0"),
        (b"seed = 1\nepochs = 0\n", "line 2: invalid value `0` for `epochs`: expected a whole number from 1"),
        (b"epochs = \"\"\"1\n2\"\"\"\n", "line 1: invalid value `1\\n2` for `epochs`"),
        (b"data = \"\"\n", "line 1: invalid value `` for `data`: it cannot be empty"),
        (b"epochs = [1]\n", "line 1: `epochs` needs a single value, a number or a string"),
        (b"[epochs]\na = 1\n", "line 1: `epochs` needs a single value"),
        (b"lr = 1\nlr = 2\n", "line 2, column 1: invalid TOML: duplicate key"),
        (b"seed = = 3\n", "line 1, column 8: invalid TOML"),
        (b"lr = 1\ndata = \"\xff\"\n", "line 2, column 9: the text is not UTF-8"),
    ];
    for (contents, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("run.toml"), contents).unwrap();
        let arguments = "train --config run.toml --out run";
        refuse(folder.path(), arguments, &format!("run.toml, {expected}"));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    refuse(folder.path(), "train --config absent.toml", "absent.toml: cannot read the run file");
    refuse(folder.path(), "train --config folder", "folder: cannot read the run file");
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
        ("--validation", "0", "between 0 and 1"),
        ("--validation", "1", "between 0 and 1"),
        ("--seed", "-1", "from 0 to"),
        ("--threads", "0", "a number from 1 to"),
        ("--device", "tpu", "`auto`, `cpu`, `cuda` or `cuda:N`"),
        ("--model", "mlpp", "did you mean `mlp`?"),
        ("--optimizer", "adm", "a similar value exists: 'adam'"),
        ("--epoch", "3", "a similar argument exists: '--epochs'"),
    ];
    for (option, value, expected) in cases {
        refuse(folder.path(), &format!("train {option} {value}"), expected);
    }
    refuse(folder.path(), "predict", "<MODEL|RUN>");
    refuse(folder.path(), "predict model.pt", "<INPUT>");
    refuse(folder.path(), "eval", "<MODEL|RUN>");
    refuse(folder.path(), "export run", "--output");
    refuse(folder.path(), "trian", "a similar subcommand exists: 'train'");
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
    std::fs::write(folder.path().join("rows.csv"), digits_row("1", "")).unwrap();
    let refuse = |name: &str, expected: &str| {
        refuse(folder.path(), &format!("predict {name} rows.csv"), &format!("{name}: {expected}"));
    };
    save_foreign(&folder.path().join("foreign.pt"), &[]);
    refuse(
        "foreign.pt",
        "this is a TorchScript file that was not exported by cresset: it has no metadata.json",
    );
    let (_, mut extra) = Module::load(&model, Device::Cpu, &["metadata.json"]).unwrap();
    let own = extra.remove(0);
    let changed = |from: &str, to: &str| {
        assert!(own.contains(from), "`{from}` is not in {own}");
        own.replace(from, to)
    };
    let cases = [
        ("{\"classes\":".to_string(), "its metadata.json cannot be read"),
        (
            changed("cresset-model-1", "cresset-model-9"),
            "its metadata.json has the format `cresset-model-9`, but this version of cresset reads `cresset-model-1`",
        ),
        (
            changed("\"min\": 0.0", "\"min\": 99.0"),
            "its metadata.json is invalid: the input value range is 99 to 16",
        ),
        (own.clone(), "the model does not return one logit for each of the 10 classes"),
    ];
    for (metadata, expected) in cases {
        save_foreign(&folder.path().join("foreign.pt"), &[("metadata.json", &metadata)]);
        refuse("foreign.pt", expected);
    }
    refuse("run/checkpoints/best.safetensors", "this is not a TorchScript model, or it is damaged");
    refuse("run/split.csv", "this is not a TorchScript model, or it is damaged");
    refuse("absent.pt", "cannot read the model");
    refuse("run/checkpoints", "this folder holds no run");

    let mut archive = zip::ZipWriter::new(std::fs::File::create(folder.path().join("zip.pt")).unwrap());
    archive.start_file("letter.txt", zip::write::SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    refuse("zip.pt", "this is not a TorchScript model, or it is damaged");
}

#[test]
fn no_damaged_model_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let whole = trained_model();
    std::fs::write(folder.path().join("rows.csv"), digits_row("1", "")).unwrap();
    let check = |contents: &[u8]| {
        std::fs::write(folder.path().join("damaged.pt"), contents).unwrap();
        refuse(folder.path(), "predict damaged.pt rows.csv", "damaged.pt: ");
    };
    for part in 0..8 {
        check(&whole[..whole.len() * part / 8]);
    }
    check(&whole[..whole.len() - 1]);
    // Somewhere in the weights, which fill most of the file.
    for part in [3, 5] {
        let mut flipped = whole.to_vec();
        flipped[whole.len() * part / 8] ^= 0x10;
        check(&flipped);
    }
}

/// The bytes of one model of the digits, trained once.
fn trained_model() -> &'static [u8] {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    MODEL.get_or_init(|| std::fs::read(digits_model(tempfile::tempdir().unwrap().path())).unwrap())
}

fn logits(model: &[u8]) -> cresset::error::Result<Tensor> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pt");
    std::fs::write(&path, model).unwrap();
    let input = Tensor::arange(64, (Kind::Float, Device::Cpu)).view([1, 64]);
    Classifier::load_on(&path, Device::Cpu)?.logits(&input)
}

proptest! {
    #[test]
    fn a_flipped_bit_is_detected_or_changes_no_metric(place: prop::sample::Index, bit in 0u8..8) {
        let mut model = trained_model().to_vec();
        let place = place.index(model.len());
        model[place] ^= 1 << bit;
        match logits(&model) {
            Ok(found) => prop_assert_eq!(found, logits(trained_model()).unwrap()),
            Err(error) => {
                let said = error.to_string();
                prop_assert!(error.is_user_error(), "{}", said);
                prop_assert!(!said.contains('\n') && FORBIDDEN.iter().all(|words| !said.contains(words)), "{}", said);
            }
        }
    }
}

proptest! {
    // Each case starts the program three times.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_bytes_make_the_program_fail(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t.csv", "t.toml", "t.pt"] {
            std::fs::write(folder.path().join(name), &bytes).unwrap();
        }
        for arguments in [
            &["train", "--data", "t.csv", "--epochs", "1", "--out", "a"][..],
            &["train", "--config", "t.toml", "--epochs", "1", "--out", "b"],
            &["predict", "t.pt", "t.csv"],
        ] {
            let before = snapshot(folder.path());
            let output = cresset().args(arguments).current_dir(folder.path()).output().unwrap();
            let said = stderr(&output);
            prop_assert!(FORBIDDEN.iter().all(|words| !said.contains(words)), "{}", said);
            match output.status.code() {
                Some(0) => {}
                Some(2) => prop_assert!(snapshot(folder.path()) == before, "something on the disk changed"),
                _ => prop_assert!(false, "{:?} {}", output.status, said),
            }
        }
    }
}
