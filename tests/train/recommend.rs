//! Recommendations: training on choices of items by users, evaluation, and `cresset recommend`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::job::{kill, wait_for};
use crate::support::samples::{write_clicks, write_descriptions, write_ratings};
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

/// Compares a run that is killed and resumed with one that is not, whose folder it returns.
fn check_killed_run(folder: &Path, options: &[&str]) -> PathBuf {
    let (whole, killed) = (folder.join("whole"), folder.join("killed"));
    train_once(&whole, options);
    let arguments = [&["train", "--out", text(&killed)], options].concat();
    let mut child = cresset().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&killed.join("checkpoints/last.safetensors"), &mut child);
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert!(kill(&mut child), "the run ended before it was killed");
    succeed(["train", "--resume", text(&killed)]);
    assert_same_bits(&killed, &whole);
    whole
}

#[test]
fn a_killed_run_of_choices_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("clicks.csv");
    write_clicks(&data);
    let options = [&options(&data)[..], &["--epochs", "300", "--patience", "300"]].concat();
    check_killed_run(folder.path(), &options);
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

/// The options of a training on the clicks with tables of users and of items.
fn described_options(folder: &Path) -> Vec<String> {
    write_clicks(&folder.join("clicks.csv"));
    write_descriptions(folder);
    let file = |name: &str| text(&folder.join(name)).to_string();
    let tables =
        ["--user-table".to_string(), file("users.csv"), "--item-table".to_string(), file("items.csv")];
    options(&folder.join("clicks.csv")).map(String::from).into_iter().chain(tables).collect()
}

fn items_of(line: &str) -> Vec<String> {
    let items = json(line)["items"].as_array().unwrap().clone();
    items.iter().map(|found| found["item"].as_str().unwrap().to_string()).collect()
}

#[test]
fn new_users_and_new_items_are_recommended_by_what_tables_say_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let given = described_options(folder.path());
    let output =
        run([&["train", "--out", text(&out)], &given.iter().map(String::as_str).collect::<Vec<_>>()[..]]
            .concat());
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("users.csv: 1 of the 60 values of column `user` of"), "{said}");
    assert!(said.contains("items.csv: 1 of the 52 values of column `item` of"), "{said}");
    // u60 to u63 made no choice; three of the four best items are of their kind, also those without choices.
    for user in 60..64 {
        let name = format!("u{user}");
        let line = succeed(["recommend", text(&out), "--user", &name, "--top-k", "8", "--json"]);
        let kinds =
            items_of(&line).iter().map(|item| item[1..].parse::<u32>().unwrap() % 4).collect::<Vec<_>>();
        assert!(
            json(&line)["known"] == true && kinds.iter().filter(|kind| **kind == user % 4).count() >= 6,
            "{line}"
        );
    }
    let line = succeed(["recommend", text(&out), "--user", "u7", "--top-k", "56", "--json"]);
    let all = items_of(&line);
    let place = |item: &str| all.iter().position(|other| other == item).unwrap();
    // Of the items without choices, i55 is of the kind of u7.
    assert!(["i52", "i53", "i54"].iter().all(|other| place("i55") < place(other)), "{all:?}");

    let report = out.join("report.json");
    succeed(["eval", text(&out), "--json", text(&report)]);
    let report = json(&std::fs::read_to_string(&report).unwrap());
    let ndcg =
        report["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == "NDCG@10").unwrap();
    let epochs = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let best = epochs.lines().skip(1).map(|row| row.split(',').nth(4).unwrap().parse::<f64>().unwrap());
    let best = best.fold(0., f64::max);
    assert!((ndcg["value"].as_f64().unwrap() - best).abs() < 1e-6 && best > 0.25, "{ndcg}, {best}");
    // New choices need no tables.
    let new = folder.path().join("new.csv");
    std::fs::write(&new, "user,item\nu60,i52\nu99,i8\n").unwrap();
    succeed(["eval", text(&out), text(&new)]);
    succeed(["inspect", text(&out.join("model.pt")), "--verify"]);
}

#[test]
fn a_killed_run_with_tables_resumes_bit_identically_and_a_changed_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--epochs", "300", "--patience", "300"].map(String::from);
    let options = [described_options(folder.path()), more.to_vec()].concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let whole = check_killed_run(folder.path(), &options);

    // The weights of another run with the same tables are a start; those of the exported file have no features.
    let (next, checkpoint) = (folder.path().join("next"), whole.join("checkpoints/best.safetensors"));
    let one = [&options[..10 + 4], &["--epochs", "1"]].concat();
    succeed([&["train", "--out", text(&next), "--init", text(&checkpoint)], &one[..]].concat());
    refused(
        &[
            &["train", "--out", text(&folder.path().join("none")), "--init", text(&whole.join("model.pt"))],
            &one[..],
        ]
        .concat(),
        "model.pt",
    );
    let users = folder.path().join("users.csv");
    let changed = std::fs::read_to_string(&users).unwrap().replace("u3,west", "u3,east");
    std::fs::write(&users, changed).unwrap();
    refused(&["eval", text(&whole)], "the data has changed since the run");
}

#[test]
fn tables_and_ratings_need_choices() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("ratings.csv"), folder.path().join("run"));
    write_ratings(&data);
    let train = |more: &[&str], expected: &str| {
        refused(&[&["train", "--data", text(&data), "--out", text(&out)], more].concat(), expected);
    };
    train(&["--item-table", text(&data)], "--item-table is for choices of items by users");
    train(&["--rating", "rating"], "--rating is for choices of items by users");
    let both = ["--user", "user", "--item", "item"];
    train(&[&both[..], &["--min-rating", "3"]].concat(), "--min-rating needs a column of ratings");
    train(&[&both[..], &["--rating", "item"]].concat(), "--rating selects the column of --user or --item");
    train(&[&both[..], &["--rating", "liked"]].concat(), "line 2: `yes` is not a rating; expected a number");
    train(
        &[&both[..], &["--user-table", text(&data)]].concat(),
        "ratings.csv, line 3: `u0` has a row already: ",
    );
    train(
        &[&both[..], &["--model", "deepfm"]].concat(),
        "or predict a label, such as clicked, with --label COLUMN",
    );
}

#[test]
fn good_ratings_are_choices_also_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("ratings.csv"), folder.path().join("run"));
    write_ratings(&data);
    let options =
        ["--user", "user", "--item", "item", "--rating", "rating", "--threads", "1", "--epochs", "20"];
    let output = run([&["train", "--data", text(&data), "--out", text(&out)], &options[..]].concat());
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("the median, are choices"), "{said}");
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("min_rating = 3"), "{config}");
    // The median of the new ratings is 1, but only the last one is a choice.
    let new = folder.path().join("new.csv");
    let known = std::fs::read_to_string(&data).unwrap();
    let unrated =
        (0..30).map(|item| format!("i{item}")).filter(|item| !known.contains(&format!("u0,{item},")));
    let unrated: Vec<String> = unrated.take(3).collect();
    std::fs::write(
        &new,
        format!("user,item,rating\nu0,{},1\nu0,{},1\nu0,{},5\n", unrated[0], unrated[1], unrated[2]),
    )
    .unwrap();
    let report = out.join("report.json");
    succeed(["eval", text(&out), text(&new), "--json", text(&report)]);
    let report = std::fs::read_to_string(&report).unwrap();
    assert_eq!(json(&report)["rows"], 1, "{report}");
}
