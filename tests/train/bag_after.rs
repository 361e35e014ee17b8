//! What follows the training of a bag: compression, corrections, other runs from its weights, comparisons.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cresset::feedback::{FeedbackWriter, NewInput};
use cresset::model::script;
use cresset::predict::metadata;
use tch::Device;

use crate::support::samples::correction;
use crate::support::{root, run, stderr, succeed, text};

const FIXED: [&str; 4] = ["--threads", "1", "--device", "cpu"];

/// A bag of two perceptrons of the flowers.
fn flowers(out: &Path, more: &[&str]) -> PathBuf {
    let options = ["train", "--recipe", "none", "--data", "iris", "--bag", "2", "--epochs", "15"];
    let last = ["--lr", "0.01", "--out", text(out)];
    succeed(options.iter().chain(&last).chain(&FIXED).chain(more));
    out.to_path_buf()
}

/// The problem that a command ends with.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_bag_is_compressed_and_the_files_return_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let bag = flowers(&folder.path().join("run"), &[]);
    let options = ["--quantize", "int8", "--dtype", "bf16", "--prune", "0.5", "--epochs", "8"];
    succeed(["compress", text(&bag)].iter().chain(&options));
    let mut reader = csv::Reader::from_path(bag.join("compressed/compression.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["model"].as_str()).collect();
    assert_eq!(names, ["original", "int8", "bf16", "prune-0.5", "prune-0.5-int8", "prune-0.5-bf16"]);
    let number = |row: usize, column: &str| rows[row][column].parse::<f64>().unwrap();

    // The accuracy is that of the members that were trained without each row, as in the run.
    let recorded = |model: &Path| metadata(model).unwrap().metrics.validation["accuracy"].as_f64().unwrap();
    assert!((number(0, "accuracy") - recorded(&bag.join("model.pt"))).abs() < 1e-6, "{rows:?}");
    let table = root().join("data/iris.csv");
    for (place, row) in rows.iter().enumerate().skip(1) {
        let file = bag.join("compressed").join(&row["file"]);
        succeed(["inspect", text(&file), "--verify"]);
        assert!(number(place, "accuracy") > number(0, "accuracy") - 0.1, "{row:?}");
        // Casting keeps the record of its source.
        if !row["model"].ends_with("bf16") {
            assert!((number(place, "accuracy") - recorded(&file)).abs() < 1e-6, "{row:?}");
        }
        let (module, _) = script::load(&file, Device::Cpu, &[]).unwrap();
        let inputs = tch::Tensor::from_slice(&[5.1f32, 3.5, 1.4, 0.2]).view([1, 4]);
        assert_eq!(module.call("members", &inputs).unwrap()[0].size(), [1, 2, 3], "{row:?}");
        let said = succeed(["eval", text(&file), text(&table)]);
        assert!(said.contains("accuracy"), "{said}");
    }
    assert!(number(3, "parameters") < number(0, "parameters") * 0.6, "{rows:?}");
    assert_eq!(
        metadata(&bag.join("compressed/int8.pt")).unwrap().compression.unwrap().int8.unwrap(),
        "dynamic"
    );

    // A single model learns from a bag, by the command that the refusal names.
    let problem = refused(&["compress", text(&bag), "--distill", text(&bag)]);
    let named = problem.trim().rsplit_once("cresset ").unwrap().1;
    let out = folder.path().join("student");
    let command = named.split(' ').chain(["--epochs", "2", "--out", text(&out)]);
    succeed(command);
    assert_eq!(metadata(&out.join("model.pt")).unwrap().metrics.validation_rows, 30);
}

/// Writes corrections of flowers: of the first row of the data, and of new ones.
fn corrections(folder: &Path, count: usize) {
    let writer = FeedbackWriter::new(folder).unwrap();
    let add = |id: &str, values: &[f32], class: &str| {
        let fill = |input| cresset::feedback::Correction {
            correction: class.to_string(),
            ..correction(id, input, 0)
        };
        writer.add(NewInput::Values(values), fill, id).unwrap();
    };
    add("known", &[5.1, 3.5, 1.4, 0.2], "setosa");
    (1..count).for_each(|number| {
        add(&format!("new{number}"), &[1.5, 1. + number as f32 / 50., 6.5, 0.1], "virginica");
    });
}

/// The part of each example in split.csv.
fn parts(run: &Path) -> BTreeMap<String, String> {
    let mut reader = csv::Reader::from_path(run.join("split.csv")).unwrap();
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_bag_learns_corrections_in_its_folds_and_is_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let bag = flowers(&folder.path().join("run"), &[]);
    let set = folder.path().join("feedback");
    corrections(&set, 4);
    let fine_tune = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let options = ["train", "--from", text(&bag), "--feedback", text(&set), "--out", text(&out)];
        (succeed(options.iter().chain(&FIXED).chain(more)), out)
    };
    let (said, first) = fine_tune("first", &["--promote", "--epochs", "20"]);
    assert!(said.contains("corrections: 4 for training") && said.contains("promoted: "), "{said}");
    let line = said.lines().find(|line| line.starts_with("validation set")).unwrap();
    assert!(line.contains(" 150 "), "{said}");
    let line = said.lines().find(|line| line.starts_with("corrections, training")).unwrap();
    assert!(line.contains("→ 100.00 %"), "{said}");

    // A correction of an example is in its fold, and new ones are in the same fold whenever they come.
    let old = parts(&bag);
    let new = parts(&first);
    assert_eq!(new["feedback/known"], old["0"]);
    assert!(old.iter().all(|(name, part)| new[name] == *part), "{new:?}");
    corrections(&folder.path().join("more"), 11);
    let set = folder.path().join("more");
    let out = folder.path().join("second");
    let options = ["train", "--from", text(&bag), "--feedback", text(&set), "--out", text(&out)];
    let said = succeed(options.iter().chain(&FIXED).chain(&["--epochs", "2"]));
    let line = said.lines().find(|line| line.starts_with("corrections, validation")).unwrap();
    assert!(line.contains(" 11 "), "{said}");
    let again = parts(&out);
    let of_first = new.iter().filter(|(name, _)| name.starts_with("feedback/"));
    assert!(of_first.clone().count() == 4 && of_first.clone().all(|(name, part)| again[name] == *part));
    // With so many, each is validated by the member that is not trained on it, and both members train on some.
    let folds: Vec<_> = again.iter().filter(|(name, _)| name.starts_with("feedback/")).collect();
    assert_eq!(folds.len(), 11);
    assert!(["fold-1", "fold-2"].iter().all(|fold| folds.iter().any(|(_, part)| part == fold)), "{folds:?}");
    succeed(["eval", text(&out)]);
    succeed(["report", text(&out)]);

    // A new bag learns them, too.
    let fresh = folder.path().join("fresh");
    flowers(&fresh, &["--feedback", text(&set)]);
    assert_eq!(parts(&fresh), again);
}

#[test]
fn a_bag_starts_from_weights_of_its_own_folds_only() {
    let folder = tempfile::tempdir().unwrap();
    let bag = flowers(&folder.path().join("run"), &[]);
    let config = bag.join("config.toml");
    let start = |name: &str, file: &Path, more: &[&str]| {
        let out = folder.path().join(name);
        let options = ["train", "--config", text(&config), "--init", text(file), "--epochs", "1", "--out"];
        run(options.iter().chain(&[text(&out)]).chain(more))
    };
    let said = |name: &str, file: &Path, more: &[&str]| {
        let output = start(name, file, more);
        (output.status.code(), stderr(&output) + &String::from_utf8_lossy(&output.stdout))
    };
    let best = bag.join("checkpoints/best.safetensors");
    for (name, file) in [("best", &best), ("model", &bag.join("model.pt"))] {
        let (code, said) = said(name, file, &[]);
        assert_eq!(code, Some(0), "{said}");
        let score = |run: &Path| metadata(&run.join("model.pt")).unwrap().metrics.validation_loss;
        assert!((score(&folder.path().join(name)) - score(&bag)).abs() < 0.1, "{said}");
    }
    // The recipe takes the members over with the model.
    let out = folder.path().join("recipe");
    succeed(["train", "--data", "iris", "--init", text(&best), "--epochs", "1", "--out", text(&out)]);
    assert_eq!(cresset::options::Config::read(&out.join("config.toml")).unwrap().bag, 2);

    let single = folder.path().join("single");
    succeed(["train", "--data", "iris", "--recipe", "none", "--epochs", "1", "--out", text(&single)]);
    let cases: [(&Path, &[&str], &str); 5] = [
        (&best, &["--seed", "1"], "other folds (--seed was 0, and is 1 now)"),
        (&best, &["--bag", "3"], "other folds (--bag was 2, and is 3 now)"),
        (&best, &["--data", "wine"], "its weights come from other data"),
        (&single.join("model.pt"), &[], "its weights are not those of a bag"),
        (
            &best,
            &["--bag", "0"],
            "it has the weights of a bag of 2 models (--bag), and this run trains a single one",
        ),
    ];
    for (file, options, problem) in cases {
        let (code, said) = said("refused", file, options);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(problem), "{said}");
    }

    // A comparison knows that the rows of a bag are in both sets.
    let said = succeed(["diff", text(&bag), text(&single)]);
    assert!(said.contains("train examples: 150 and 120, 120 in common"), "{said}");
    assert!(said.contains("validation examples: 150 and 30, 30 in common"), "{said}");
}

/// What a run by the recipe prints, and its options. The data are the flowers unless the options have others.
fn default_run(out: &Path, options: &[&str]) -> (String, cresset::options::Config) {
    let base = ["train", "--epochs", "1", "--out", text(out)];
    let data = if options.contains(&"--data") { &[][..] } else { &["--data", "iris"] };
    let said = succeed(base.iter().chain(data).chain(options));
    (said, cresset::options::Config::read(&out.join("config.toml")).unwrap())
}

#[test]
fn the_recipe_of_few_rows_is_a_bag_that_passes_through_the_life_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (said, config) = default_run(&out, &["--threads", "1"]);
    assert_eq!(config.bag, 5);
    assert!(said.contains("\n        bag 5: few rows: ") && said.contains("150 in 5 folds"), "{said}");
    succeed(["train", "--resume", text(&out)]);
    succeed(["eval", text(&out)]);
    succeed(["report", text(&out)]);
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("in 5 folds, each validates the model trained without it"), "{report}");
    let card = succeed(["card", text(&out), "--output", "-"]);
    for part in [
        "150 examples in 3 classes",
        "5 folds of each class for validation, each of the model that is",
        "a bag of 5 models, each `tabm`",
    ] {
        assert!(card.contains(part), "{card}");
    }
    assert!(card.contains("| setosa | 50 | 50 | 33.33 % |"), "{card}");
    let flowers = folder.path().join("new.csv");
    std::fs::write(&flowers, "5.1,3.5,1.4,0.2,setosa\n6.3,2.9,5.6,1.8,virginica\n").unwrap();
    assert_eq!(succeed(["predict", text(&out), text(&flowers)]).lines().count(), 3);
    let explained = folder.path().join("explained");
    succeed(["explain", text(&out), text(&flowers), "--out", text(&explained)]);
    let said = succeed(["compress", text(&out)]);
    assert!(said.contains("not pruned") && out.join("compressed/int8.pt").is_file(), "{said}");
    let set = folder.path().join("feedback");
    corrections(&set, 3);
    let tuned = folder.path().join("tuned");
    let options = ["train", "--from", text(&out), "--feedback", text(&set), "--out", text(&tuned)];
    let said = succeed(options.iter().chain(&["--epochs", "2"]));
    assert!(said.contains("before → after"), "{said}");
    let (_, labels) = default_run(&folder.path().join("labels"), &["--find-label-errors"]);
    assert_eq!(labels.bag, 5);
    assert!(folder.path().join("labels/label_errors.csv").is_file());
}

/// Options that a bag does not have lead to a single model, and so do `--bag 0`, no recipe and many rows.
#[test]
fn where_a_bag_is_not_possible_or_not_wanted_the_recipe_trains_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = folder.path().join("teacher");
    default_run(&teacher, &["--bag", "0"]);
    let weights = teacher.join("checkpoints/best.safetensors");
    let orders: String = (0..60).map(|row| format!("{row},{},{}\n", row * 7 % 11, row % 2)).collect();
    let table = folder.path().join("orders.csv");
    std::fs::write(&table, format!("day,amount,label\n{orders}")).unwrap();
    let many = folder.path().join("many.csv");
    let row = |row: usize| format!("{},{},{}\n", row, row * 7 % 11, row % 2);
    std::fs::write(&many, format!("day,amount,label\n{}", (0..502).map(row).collect::<String>())).unwrap();
    let cases: Vec<Vec<&str>> = vec![
        vec!["--bag", "0"],
        vec!["--recipe", "none"],
        vec!["--validation", "0.3"],
        vec!["--folds", "2", "--fold", "1"],
        vec!["--teacher", text(&teacher)],
        vec!["--init", text(&weights)],
        vec!["--freeze", "fc1"],
        vec!["--ood", "0.05", "--ood-score", "knn"],
        vec!["--model", "ft-transformer", "--model-options", "width=8,depth=1,heads=2"],
        vec!["--data", text(&table), "--split", "time:day"],
        vec!["--data", text(&table), "--group", "amount"],
        vec!["--data", text(&table), "--stream", "always"],
        vec!["--data", text(&many)],
    ];
    for (number, options) in cases.iter().enumerate() {
        let (_, config) = default_run(&folder.path().join(number.to_string()), options);
        assert_eq!(config.bag, 0, "{options:?}");
    }
    for (name, table) in [("few", &table), ("tiny", &folder.path().join("tiny.csv"))] {
        if name == "tiny" {
            std::fs::write(table, "a,label\n1,x\n2,y\n3,x\n").unwrap();
        }
        assert_eq!(default_run(&folder.path().join(name), &["--data", text(table)]).1.bag, 5, "{name}");
    }
}
