//! Tables of texts that are streamed from a file.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::job::{kill, send, wait_for};
use crate::support::samples::write_mails;
use crate::support::{assert_same_bits, cresset, encoder, stderr, text};

/// A table of texts of very different lengths, whose words tell their class.
fn write_table(folder: &Path, rows: usize) -> PathBuf {
    let line = |row: usize| {
        let random = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let own = [["meeting", "agenda"], ["winner", "prize"]][row % 2][random as usize % 2];
        let word = |place: u64| ["the", "we", "you", "with", "today"][((random >> place) % 5) as usize];
        let words: Vec<&str> = (0..3 + random % 24).map(word).collect();
        format!("re {},\"{} {own}, ok\",{}\n", random % 7, words.join(" "), ["ham", "spam"][row % 2])
    };
    let path = folder.join("notes.csv");
    std::fs::write(&path, "subject,body,kind\n".to_string() + &(0..rows).map(line).collect::<String>())
        .unwrap();
    path
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    cresset().args(arguments).env("XDG_CACHE_HOME", folder.join("cache")).output().unwrap()
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The training loss, validation loss and accuracies of the last epoch.
fn figures(run: &Path) -> Vec<f64> {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    metrics.lines().last().unwrap().split(',').take(6).map(|cell| cell.parse().unwrap()).collect()
}

const SMALL: [&str; 4] =
    ["--model", "transformer", "--model-options", "rows=256,width=16,depth=1,heads=2,dropout=0"];

/// Weights that hardly change give the mean loss over the examples of an epoch, in whichever order each has its turn.
#[test]
fn an_epoch_has_the_texts_of_the_table_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 9000);
    for (name, more) in [
        ("bow", &["--text", "body", "--model", "bow"][..]),
        ("buckets", &[&SMALL[..], &["--text", "body"]].concat()),
        ("pairs", &["--text", "subject,body", "--model", "bow"]),
        ("found", &["--ignore", "subject", "--model", "bow"]),
    ] {
        let [memory, file] = ["memory", "file"].map(|place| folder.path().join(format!("{name}-{place}")));
        let base =
            ["train", "--data", text(&table), "--label", "kind", "--recipe", "none", "--optimizer", "sgd"];
        let slow = ["--lr", "1e-12", "--epochs", "1", "--batch-size", "32"];
        let base = [&base[..], &slow, more].concat();
        succeed(folder.path(), &[&base[..], &["--stream", "never", "--out", text(&memory)]].concat());
        let said =
            succeed(folder.path(), &[&base[..], &["--stream", "always", "--out", text(&file)]].concat());
        assert!(said.contains("\nstream  the rows are read from a file of "), "{said}");
        let split = |run: &Path| std::fs::read_to_string(run.join("split.csv")).unwrap();
        assert_eq!(split(&memory), split(&file));
        for (memory, file) in figures(&memory).iter().zip(figures(&file)) {
            assert!((memory - file).abs() < 1e-5, "{name}: {memory} and {file}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_also_after_an_end_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 30_000);
    let options =
        ["--text", "body", "--label", "kind", "--recipe", "none", "--epochs", "4", "--batch-size", "64"];
    let base = [&["train", "--data", text(&table)], &options[..], &["--stream", "always"]].concat();
    let hashed = [&base[..], &["--model", "bow"]].concat();
    let vocabulary = [&base[..], &SMALL, &["--vocab-size", "60"]].concat();
    for (name, base) in [("hashed", hashed), ("vocabulary", vocabulary)] {
        let [whole, killed, stopped] =
            ["whole", "killed", "stopped"].map(|end| folder.path().join(format!("{name}-{end}")));
        succeed(folder.path(), &[&base[..], &["--out", text(&whole)]].concat());
        for (out, is_killed) in [(&killed, true), (&stopped, false)] {
            let mut command = cresset();
            command.args(&base).args(["--out", text(out)]).env("XDG_CACHE_HOME", folder.path().join("cache"));
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            wait_for(&out.join("checkpoints/last.safetensors"), &mut child);
            match is_killed {
                true => assert!(kill(&mut child), "the run ended before it was killed"),
                false => {
                    send("-INT", &child);
                    assert_eq!(child.wait().unwrap().code(), Some(130));
                }
            }
            succeed(folder.path(), &["train", "--resume", text(out)]);
            assert_same_bits(&whole, out);
        }
    }
}

#[test]
fn a_process_that_is_killed_while_it_stores_the_texts_leaves_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 200_000);
    let cache = folder.path().join("cache");
    let base = ["train", "--data", text(&table), "--text", "body", "--label", "kind", "--stream", "always"];
    let mut command = cresset();
    command.args(base).args(["--out", text(&folder.path().join("killed"))]).env("XDG_CACHE_HOME", &cache);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let tables = cache.join("cresset/tables");
    let files = |of: &dyn Fn(&Path) -> bool| -> usize {
        let entries = std::fs::read_dir(&tables).into_iter().flatten().flatten();
        entries.filter(|entry| of(&entry.path())).count()
    };
    while files(&|path| path.is_dir()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it stored the texts");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(kill(&mut child), "the run ended before it was killed");
    let rows = |path: &Path| path.extension().is_some_and(|extension| extension == "rows");
    let stored = files(&rows);
    let out = folder.path().join("run");
    succeed(folder.path(), &[&base[..], &["--epochs", "1", "--out", text(&out)]].concat());
    assert_eq!((stored, files(&rows)), (0, 1));
}

#[test]
fn a_table_of_texts_larger_than_the_limit_is_streamed_evaluated_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 6000);
    let out = folder.path().join("run");
    let base = ["train", "--data", text(&table), "--text", "body", "--label", "kind", "--out", text(&out)];
    // A thousandth of a GiB.
    let said = succeed(folder.path(), &[&base[..], &["--max-memory", "0.001"]].concat());
    assert!(said.contains("\nstream ") && said.contains("model   bow"), "{said}");
    for arguments in [&["eval", text(&out)][..], &["eval", text(&out), text(&table)]] {
        let said = succeed(folder.path(), arguments);
        let accuracy = said.lines().find(|line| line.starts_with("accuracy")).unwrap();
        let accuracy: f64 = accuracy.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(accuracy > 99., "{said}");
    }
    let said = succeed(folder.path(), &["predict", text(&out), text(&table)]);
    assert!(said.contains("spam") && said.contains("ham"), "{said}");
    succeed(folder.path(), &["report", text(&out)]);
    succeed(folder.path(), &["card", text(&out)]);
}

#[test]
fn the_vocabulary_is_that_of_texts_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 800);
    let [memory, file] = ["memory", "file"].map(|name| folder.path().join(name));
    let base = ["train", "--data", text(&table), "--text", "body", "--label", "kind", "--epochs", "1"];
    let base =
        [&base[..], &SMALL, &["--tokenizer", "bpe", "--vocab-size", "320", "--max-length", "20"]].concat();
    succeed(folder.path(), &[&base[..], &["--stream", "never", "--out", text(&memory)]].concat());
    succeed(folder.path(), &[&base[..], &["--stream", "always", "--out", text(&file)]].concat());
    let tokenizer = |run: &Path| std::fs::read_to_string(run.join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer(&memory), tokenizer(&file));
    // The given tokenizer of another run, and the texts that are stored already.
    let given = folder.path().join("given");
    let tokens = file.join("tokenizer.json");
    let options =
        ["--tokenizer", text(&tokens), "--stream", "always", "--epochs", "1", "--out", text(&given)];
    let base = ["train", "--data", text(&table), "--text", "body", "--label", "kind", "--model", "gru"];
    succeed(folder.path(), &[&base[..], &options, &["--model-options", "width=16,depth=1"]].concat());
    let cache = std::fs::read_dir(folder.path().join("cache/cresset/tables")).unwrap();
    let paths = cache.map(|entry| entry.unwrap().path());
    assert_eq!(paths.filter(|path| path.extension().is_some_and(|extension| extension == "rows")).count(), 1);
}

#[test]
fn an_encoder_is_fine_tuned_on_streamed_texts() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let table = folder.path().join("mails.csv");
    let encoder = encoder::write(folder.path(), &std::fs::read_to_string(&table).unwrap());
    let out = folder.path().join("run");
    let base = ["train", "--data", text(&table), "--text", "body", "--label", "kind", "--stream", "always"];
    let base = [&base[..], &["--pretrained", text(&encoder), "--epochs", "1"]].concat();
    let said = succeed(folder.path(), &[&base[..], &["--out", text(&out)]].concat());
    assert!(said.contains("\nstream ") && said.contains("model   bert"), "{said}");
    assert!(!said.contains("head-only true"), "{said}");
    let output = run(folder.path(), &[&base[..], &["--head-only"]].concat());
    let said = stderr(&output);
    assert!(said.contains("--head-only is an option that cannot be streamed"), "{said}");
}
