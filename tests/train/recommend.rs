//! Recommendations: training on choices of items by users, evaluation, and `cresset recommend`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::job::{kill, wait_for};
use crate::support::samples::write_clicks;
use crate::support::{assert_same_bits, cresset, run, stderr, succeed, text, train_once};

/// A run on the clicks, and their table.
fn clicks_run(folder: &Path) -> (PathBuf, PathBuf) {
    let (data, out) = (folder.join("clicks.csv"), folder.join("run"));
    write_clicks(&data);
    train_once(&out, &options(&data));
    (data, out)
}

fn options(data: &Path) -> [&str; 10] {
    [
        "--data",
        text(data),
        "--user",
        "user",
        "--item",
        "item",
        "--split",
        "leave-one-out:day",
        "--threads",
        "1",
    ]
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

fn refused(arguments: &[&str], expected: &str) {
    let output = run(arguments);
    let said = stderr(&output);
    assert!(output.status.code() == Some(2) && said.contains(expected), "{arguments:?}: {said}");
}

#[test]
fn what_users_like_is_learned_and_the_exported_model_ranks_as_in_training() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out) = clicks_run(folder.path());
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    assert!(
        metrics.starts_with("epoch,train_loss,train_ndcg,held_out_loss,held_out_ndcg,lr,seconds,monitored\n")
    );
    let report = out.join("report.json");
    succeed(["eval", text(&out), "--json", text(&report)]);
    let report = json(&std::fs::read_to_string(report).unwrap());
    let metric = |name: &str| {
        let metrics = report["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["value"].as_f64().unwrap()
    };
    // By chance, one of about 42 items is among ten in a quarter of the cases.
    assert!(metric("hit rate@10") > 0.8 && metric("NDCG@10") > 0.35 && metric("GAUC") > 0.8, "{report}");
    let best = metrics.lines().skip(1).map(|row| row.split(',').nth(4).unwrap().parse::<f64>().unwrap());
    assert!((metric("NDCG@10") - best.fold(0., f64::max)).abs() < 1e-6);
    let listed = succeed(["runs", text(folder.path()), "--format", "json"]);
    assert!(listed.contains("two-tower"), "{listed}");
    succeed(["inspect", text(&out.join("model.pt")), "--verify"]);
}

#[test]
fn recommendations_leave_out_what_was_chosen_and_unknown_users_get_some_too() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = clicks_run(folder.path());
    let line = succeed(["recommend", text(&out), "--user", "u7", "--top-k", "52", "--json"]);
    let line = json(&line);
    let items: Vec<&str> =
        line["items"].as_array().unwrap().iter().map(|found| found["item"].as_str().unwrap()).collect();
    let data = std::fs::read_to_string(&data).unwrap();
    let chosen = |item: &str| data.lines().any(|row| row.starts_with(&format!("u7,{item},")));
    assert!(line["known"] == true && !items.iter().any(|item| chosen(item)), "{line}");
    // The first items are of the kind of the user.
    assert!(items[..2].iter().all(|item| item[1..].parse::<u32>().unwrap() % 4 == 3), "{items:?}");
    let scores: Vec<f64> =
        line["items"].as_array().unwrap().iter().map(|found| found["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b));

    let again =
        succeed(["recommend", text(&out), "--user", "u7", "--top-k", "60", "--json", "--include-chosen"]);
    assert_eq!(json(&again)["items"].as_array().unwrap().len(), 52);
    let file = out.join("model.pt");
    let left = succeed(["recommend", text(&file), "--user", "u7", "--json", "--exclude", items[0]]);
    assert!(!left.contains(&format!("\"{}\"", items[0])), "{left}");

    let output = run(["recommend", text(&out), "--user", "nobody", "--top-k", "3"]);
    assert!(stderr(&output).contains("nobody is not in the training data"), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}

#[test]
fn a_killed_run_of_choices_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("clicks.csv");
    write_clicks(&data);
    let options = [&options(&data)[..], &["--epochs", "300", "--patience", "300"]].concat();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    train_once(&whole, &options);
    let arguments = [&["train", "--out", text(&killed)], &options[..]].concat();
    let mut child = cresset().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&killed.join("checkpoints/last.safetensors"), &mut child);
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert!(kill(&mut child), "the run ended before it was killed");
    succeed(["train", "--resume", text(&killed)]);
    assert_same_bits(&killed, &whole);
}

#[test]
fn options_and_commands_that_do_not_suit_recommendations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = clicks_run(folder.path());
    let new = folder.path().join("new");
    let train = |more: &[&str], expected: &str| {
        refused(&[&["train", "--data", text(&data), "--out", text(&new)], more].concat(), expected);
        assert!(!new.exists());
    };
    let both = ["--user", "user", "--item", "item"];
    let with = |more: &[&'static str]| [&both[..], more].concat();
    train(&["--user", "user"], "needs both --user COLUMN and --item COLUMN");
    train(&["--task", "ranking"], "needs both --user COLUMN and --item COLUMN");
    train(&["--user", "user", "--item", "user"], "--user and --item select the same column");
    train(&["--user", "1", "--item", "user"], "--user and --item select the same column");
    train(&["--user", "user", "--item", "itm"], "no column `itm`; did you mean `item`?");
    train(
        &with(&["--task", "regression"]),
        "--user and --item are for --task ranking, but --task is regression",
    );
    train(&with(&["--label", "day"]), "--label is not for ranking");
    train(&with(&["--model", "mlp"]), "the model mlp does not rank items; use --model two-tower");
    train(&with(&["--loss", "mse"]), "--loss mse is not for ranking; use in-batch-softmax");
    train(&with(&["--monitor", "accuracy"]), "--monitor accuracy is not a metric of ranking");
    train(&with(&["--mask-categories", "0"]), "needs a share above 0");
    train(&with(&["--class-weights", "balanced"]), "--class-weights works only for classification");
    train(
        &["--label", "item", "--model", "two-tower"],
        "the model two-tower is for choices of items by users",
    );
    train(&["--label", "item", "--monitor", "ndcg"], "--monitor ndcg is not a metric of classification");
    let file = out.join("model.pt");
    for arguments in [
        &["predict", text(&file), text(&data)][..],
        &["explain", text(&file), text(&data)],
        &["embed", text(&out), "--out", text(&new)],
    ] {
        refused(
            arguments,
            "this model recommends items to users; use it with `cresset recommend` and `cresset eval`",
        );
    }
    refused(
        &["compress", text(&out), "--prune", "0.5"],
        "--prune: a model of recommendations has no layers, only vectors of users and items; use --quantize int8 or --dtype",
    );
    refused(&["compress", text(&out), "--distill", text(&file)], "--distill: a model of recommendations");
    refused(&["card", text(&out), "--group-by", "day"], "--group-by and --groups compare classes");
    let said = succeed(["data", "audit", text(&data), "--user", "user", "--item", "item"]);
    assert!(said.contains("720 examples, choices of items by users") && !said.contains("leaking"), "{said}");
    refused(
        &["eval", text(&out), text(&data)],
        "clicks.csv: it has no new choices of items in the training data",
    );
    refused(&["eval", text(&file), text(&data)], "only the run knows it; pass the run folder");
    refused(&["eval", text(&out), text(&data), "--group-by", "day"], "is not for a model of recommendations");
    refused(
        &["recommend", text(&out), "--user", "u1", "--exclude", "i99"],
        "--exclude i99: the model does not know",
    );
    let iris = folder.path().join("iris");
    succeed(["train", "--data", "iris", "--epochs", "1", "--out", text(&iris)]);
    refused(
        &["recommend", text(&iris), "--user", "u1"],
        "this model does not recommend items: its task is classification",
    );
    std::fs::write(&data, "user,item\nu1,i1\n,i2\nu2,i1\n").unwrap();
    train(&both, "line 3, column 1 (user): missing value");
    std::fs::write(&data, "user,item\nu1,i1\nu1,i2\nu1,i3\nu2,i1\n").unwrap();
    train(
        &with(&["--split", "leave-one-out"]),
        "no user of the validation set chose an item of the training set",
    );
}
