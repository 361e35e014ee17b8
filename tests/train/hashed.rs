//! Categories of any number: columns that are hashed, and embeddings with sparse gradients.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cresset::data::column::ColumnKind;

use crate::support::job::{Job, kill, wait_for};
use crate::support::targets::predicted;
use crate::support::{assert_same_bits, cresset, run, stderr, succeed, text};

/// A log of clicks: users, half of whom click, shops, a number, and the label. The schema hashes the users.
fn write_log(folder: &Path, rows: usize, hash: usize) -> (PathBuf, PathBuf) {
    let line = |row: usize| {
        let random = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let user = random % 211;
        let clicks = user.is_multiple_of(2) ^ (random % 17 == 3);
        let user = if row % 29 == 5 { String::new() } else { format!("{}", 5_000_000 + user * 1000) };
        format!("{user},shop {},{}.5,{}\n", random / 211 % 90, random % 13, u8::from(clicks))
    };
    let (log, schema) = (folder.join("log.csv"), folder.join("schema.toml"));
    let lines: String = (0..rows).map(line).collect();
    std::fs::write(&log, "user,shop,price,clicked\n".to_string() + &lines).unwrap();
    let entry = format!("[[column]]\nname = \"user\"\ntype = \"category\"\nhash = {hash}\n");
    std::fs::write(&schema, entry).unwrap();
    (log, schema)
}

fn options<'a>(log: &'a Path, schema: &'a Path, model: &'a str) -> Vec<&'a str> {
    let all = ["--data", text(log), "--schema", text(schema), "--model", model, "--label", "clicked"];
    [&all[..], &["--recipe", "none", "--threads", "1", "--lr", "0.01", "--batch-size", "128"]].concat()
}

/// The losses and accuracies of the last epoch.
fn figures(run: &Path) -> Vec<f64> {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    metrics.lines().last().unwrap().split(',').take(6).map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn models_of_tables_learn_hashed_users_and_predict_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (log, schema) = write_log(folder.path(), 4000, 100_000);
    let rows = folder.path().join("rows.csv");
    std::fs::write(
        &rows,
        "user,shop,price\n5000000,shop 3,1.5\n5001000,shop 3,1.5\n日本,shop 3,1.5\n,?,1.5\n",
    )
    .unwrap();
    for model in ["mlp", "resnet-table", "tabm", "ft-transformer", "deepfm", "dcn"] {
        let out = folder.path().join(model);
        succeed(
            [&["train", "--out", text(&out), "--epochs", "8"], &options(&log, &schema, model)[..]].concat(),
        );
        let metadata = cresset::predict::metadata(&out.join("model.pt")).unwrap();
        let columns = metadata.input.table.unwrap().columns;
        assert_eq!(columns[0].kind, ColumnKind::Hash { rows: 100_000 });
        // Six of 17 are noise for those who know no user.
        assert!(figures(&out)[4] > 0.85, "{model}: {:?}", figures(&out));
        // Most rows are no numbers in bfloat16.
        let small = folder.path().join(format!("{model}.pt"));
        succeed(["export", text(&out), "--dtype", "bf16", "--output", text(&small)]);
        for file in [&out.join("model.pt"), &small] {
            let of = |line: &serde_json::Value| line["probabilities"]["1"].as_f64().unwrap();
            let found: Vec<f64> = predicted(file, &rows).iter().map(of).collect();
            assert!(found.len() == 4 && found[0] > 0.65 && found[1] < 0.4, "{model}: {found:?}");
        }
    }
}

#[test]
fn a_killed_run_with_hashed_users_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let (log, schema) = write_log(folder.path(), 4000, 100_000);
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let base = [&options(&log, &schema, "deepfm")[..], &["--epochs", "12"]].concat();
    succeed([&["train", "--out", text(&whole)], &base[..]].concat());
    let mut command = cresset();
    command.args(["train", "--out", text(&killed)]).args(&base);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&killed.join("checkpoints/last.safetensors"), &mut child);
    assert!(kill(&mut child), "the run ended before it was killed");
    succeed(["train", "--resume", text(&killed)]);
    assert_same_bits(&whole, &killed);
}

#[test]
fn two_processes_train_hashed_users_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let (log, schema) = write_log(folder.path(), 4000, 100_000);
    let (alone, together) = (folder.path().join("alone"), folder.path().join("together"));
    let base = options(&log, &schema, "dcn");
    let base: Vec<&str> =
        base.into_iter().filter(|option| !["--batch-size", "128"].contains(option)).collect();
    let base = [&["train"], &base[..], &["--epochs", "2", "--model-options", "dropout=0"]].concat();
    succeed([&base[..], &["--batch-size", "128", "--out", text(&alone)]].concat());
    Job::start(2, &[&base[..], &["--batch-size", "64", "--out", text(&together)]].concat()).succeed();
    for (alone, together) in figures(&alone).iter().zip(figures(&together)) {
        assert!((alone - together).abs() < 2e-3, "{alone} and {together}");
    }
}

#[test]
fn identifiers_that_are_left_out_name_the_hash() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|row| format!("u{},{},{}\n", row * 7, row % 5, row % 2)).collect();
    let log = folder.path().join("log.csv");
    std::fs::write(&log, format!("user,x,label\n{rows}")).unwrap();
    let out = folder.path().join("run");
    let output =
        run(["train", "--data", text(&log), "--epochs", "1", "--out", text(&out), "--recipe", "none"]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    let expected = "use them with --keep user, or hash identifiers that new rows have, too, with `type = \"category\"` and `hash = 1048576` in a --schema";
    assert!(said.contains(expected), "{said}");
}
