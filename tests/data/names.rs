//! Names of files, folders and classes that hold anything: none breaks what the program writes, and none of this machine's folders
//! travels with a model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::server::Server;
use crate::support::{cresset, root, stderr, succeed, text};

/// Names that would break a line, a table, a page or a terminal, or be computed by a spreadsheet.
const CLASSES: [&str; 6] =
    ["a\nb", "<img src=x onerror=alert(1)>", "=1+1", "\"x\"", "\u{1b}[31mred", "a\u{202e}b"];

/// A folder of small images whose classes and files have such names.
fn images(folder: &Path) -> PathBuf {
    let set = folder.join("SECRET_HOME").join("set\nnew");
    for (number, class) in CLASSES.iter().enumerate() {
        std::fs::create_dir_all(set.join(class)).unwrap();
        for index in 0..8u8 {
            let shade = 40 * number as u8;
            let image = image::GrayImage::from_fn(8, 8, |x, y| {
                image::Luma([shade + (3 * x + 5 * y + u32::from(index)) as u8 % 30])
            });
            image.save(set.join(class).join(format!("p\n{index}.png"))).unwrap();
        }
    }
    set
}

/// Fails where text for people holds what steers a terminal, or a name that breaks a line.
fn assert_visible(what: &str, shown: &str) {
    let hidden = shown.chars().find(|c| cresset::data::terminal::is_hidden(*c) && *c != '\n' && *c != '\t');
    assert_eq!(hidden, None, "{what} shows it raw: {shown:?}");
    for broken in ["set\nnew", "/p\n"] {
        assert!(!shown.contains(broken), "{what} has {broken:?}: {shown}");
    }
}

/// Runs a command that must end well, and whose output is for people.
fn seen(folder: &Path, arguments: &[&str]) -> String {
    let output = cresset().args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    let shown = String::from_utf8(output.stdout.clone()).unwrap() + &stderr(&output);
    assert_visible(&format!("{arguments:?}"), &shown);
    shown
}

fn records(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    reader.records().map(|record| record.unwrap().iter().map(String::from).collect()).collect()
}

#[test]
fn no_name_breaks_what_is_written() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let set = images(folder);
    let data = text(&set);
    let out = "runs/r\n1";
    let train = [
        "train",
        "--recipe",
        "none",
        "--data",
        data,
        "--epochs",
        "1",
        "--threads",
        "1",
        "--report",
        "--tensorboard",
    ];
    let shown = seen(folder, &[&train[..], &["--out", out]].concat());
    assert!(
        shown.contains("set\\nnew: 48 rows") && shown.contains("cresset report $'runs/r\\n1'"),
        "{shown}"
    );
    let run_folder = folder.join(out);

    // What it wrote is read again: the options, the split and the pages.
    seen(folder, &["train", "--resume", out, "--epochs", "2"]);
    let config = cresset::options::Config::read(&run_folder.join("config.toml")).unwrap();
    assert_eq!(config.data, data);
    let split = records(&std::fs::read(run_folder.join("split.csv")).unwrap());
    assert_eq!(split.len(), 49);
    assert!(split.iter().any(|row| row[0] == "a\nb/p\n0.png"), "{split:?}");
    let report = std::fs::read_to_string(run_folder.join("report.html")).unwrap();
    assert!(!report.contains("<img src=x") && report.contains("&lt;img src=x"));

    seen(folder, &["card", out]);
    let card = std::fs::read_to_string(run_folder.join("card.md")).unwrap();
    assert_visible("the card", &card);
    assert!(!card.contains(" <img") && card.contains("\\<img src=x onerror=alert(1)\\>"), "{card}");

    let shown = seen(folder, &["eval", out, "--csv", "eval.csv", "--json", "eval.json"]);
    assert!(shown.contains("\na\\nb ") && shown.contains("\n\\u{1b}[31mred "), "{shown}");
    let eval = records(&std::fs::read(folder.join("eval.csv")).unwrap());
    assert!(CLASSES.iter().all(|class| eval.iter().any(|row| row[1] == *class)), "{eval:?}");
    let eval: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("eval.json")).unwrap()).unwrap();
    assert_eq!(eval["classes"].as_array().unwrap().len(), CLASSES.len());

    assert!(seen(folder, &["runs"]).contains("r\\n1"));
    let listed = cresset().args(["runs", "--format", "csv"]).current_dir(folder).output().unwrap();
    assert_eq!(records(&listed.stdout)[1][0], "r\n1");
    seen(folder, &["diff", out, out]);
    let model = format!("{out}/model.pt");
    assert!(seen(folder, &["inspect", &model]).contains("\"x\", <img src=x onerror=alert(1)>, =1+1, a\\nb"));

    // Predictions: a row an input, whatever its name and its class are.
    let predict = |form: &str| {
        let arguments = ["predict", model.as_str(), data, "--output", form];
        let output = cresset().args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output.stdout
    };
    let rows = records(&predict("csv"));
    assert_eq!(rows.len(), 49);
    assert!(rows[1..].iter().all(|row| row[0].contains("/p\\n") && row.len() == 4), "{rows:?}");
    let lines = String::from_utf8(predict("plain")).unwrap();
    assert_eq!(lines.lines().count(), 48);
    let lines = String::from_utf8(predict("jsonl")).unwrap();
    assert_eq!(
        lines.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(),
        48
    );

    seen(folder, &["data", "audit", data, "--html", "audit.html"]);
    let audit = std::fs::read_to_string(folder.join("audit.html")).unwrap();
    assert!(!audit.contains("<img src=x") && audit.contains("Content-Security-Policy"));
}

#[test]
fn an_example_with_any_name_can_be_excluded() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let set = images(folder);
    // The same image twice.
    let class = set.join(CLASSES[0]);
    std::fs::copy(class.join("p\n0.png"), class.join("#copy\tof\np\r0.png")).unwrap();
    let shown = seen(folder, &["data", "clean", text(&set), "--output", "leave out.tsv"]);
    assert!(shown.contains("--exclude 'leave out.tsv'"), "{shown}");
    let list = std::fs::read_to_string(folder.join("leave out.tsv")).unwrap();
    let names: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(!names.is_empty(), "{list}");
    let rows = 49 - names.len();
    let shown = seen(
        folder,
        &["train", "--data", text(&set), "--exclude", "leave out.tsv", "--epochs", "1", "--out", "run"],
    );
    assert!(shown.contains(&format!("set\\nnew: {rows} rows")), "{shown}");
}

#[test]
fn the_dashboard_shows_a_name_on_one_line() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let set = images(folder);
    let program = env!("CARGO_BIN_EXE_cresset");
    let data = cresset::data::terminal::argument(&set);
    let training = format!(
        "stty cols 200 rows 30; {program} train --data {data} --epochs 2 --threads 1 --tui --out $'r\\n\\033]0;1'"
    );
    let training = format!("bash -c {}", cresset::data::terminal::argument(Path::new(&training)));
    let output = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &training, "shown"])
        .current_dir(folder)
        .env("TERM", "xterm-256color")
        .output()
        .expect("util-linux is there");
    let shown = String::from_utf8_lossy(&std::fs::read(folder.join("shown")).unwrap()).into_owned();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("r\\n\\u{1b}]0;1") && shown.contains("set\\nnew"), "{shown}");
    assert!(!shown.contains("\u{1b}]0;1"), "{shown}");
}

#[test]
fn wrong_names_are_refused_in_one_visible_line() {
    let place = tempfile::tempdir().unwrap();
    for arguments in [
        ["predict", "no\n\u{1b}[31mmodel.pt", "x.png"],
        ["train", "--data", "no\n\u{1b}[31mdata"],
        ["train", "--config", "no\n\u{1b}[31mfile.toml"],
        ["train", "--lr", "a\u{1b}[31m\u{202e}"],
        ["runs", "no\n\u{1b}[31mfolder", "--all"],
        ["predict", "no.pt", "--top\u{1b}[31m"],
    ] {
        let output: Output = cresset().args(arguments).current_dir(place.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let said = stderr(&output);
        let hidden = said.chars().find(|c| cresset::data::terminal::is_hidden(*c) && *c != '\n');
        assert_eq!(hidden, None, "{arguments:?}: {said:?}");
    }
}

/// All that a file holds, with what is packed in it.
fn contents(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    if let Ok(mut archive) = zip::ZipArchive::new(std::io::Cursor::new(bytes.clone())) {
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).unwrap();
            bytes.extend(member.name().unwrap_or_default().as_bytes());
            std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        }
    }
    bytes
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

const SECRET: &[u8] = b"SECRET_HOME";

fn tells(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET)
}

#[test]
fn no_local_path_is_written_to_shared_files() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("SECRET_HOME");
    std::fs::create_dir(&home).unwrap();
    std::fs::copy(root().join("data/digits.csv"), home.join("numbers.csv")).unwrap();
    let at = |name: &str| home.join(name).to_str().unwrap().to_string();
    std::fs::write(at("exclude.tsv"), "3\n").unwrap();
    let data = at("numbers.csv");
    let base = ["train", "--recipe", "none", "--data", &data, "--threads", "1", "--epochs", "1"];
    let first = at("first");
    succeed([&base[..], &["--out", &first]].concat());
    let start = format!("{first}/checkpoints/best.safetensors");
    let out = place.path().join("run");
    let run = text(&out);
    let exclude = at("exclude.tsv");
    let options = ["--init", &start, "--exclude", &exclude, "--report", "--tensorboard", "--out", run];
    succeed([&base[..], &options].concat());
    succeed(["card", run]);
    succeed(["compress", run, "--quantize", "int8"]);
    for name in ["a.onnx", "a.safetensors", "a.pth", "a.pt"] {
        succeed(["export", run, "--output", text(&out.join(name))]);
    }
    succeed(["export", run, "--freeze", "--output", text(&out.join("frozen.pt"))]);
    succeed(["data", "audit", &data, "--html", text(&out.join("audit.html"))]);

    let written = files(&out);
    assert!(written.len() > 15, "{written:?}");
    for file in written.iter().filter(|file| !file.ends_with("config.toml")) {
        assert!(!tells(&contents(file)), "{} tells where the data is", file.display());
    }
    // Which the run itself must know, to go on.
    assert!(tells(&std::fs::read(out.join("config.toml")).unwrap()));
    succeed(["train", "--resume", run, "--epochs", "2"]);

    let server = Server::start(&out, &[]);
    for route in ["/", "/v1/models", "/openapi.json", "/metrics"] {
        let reply = server.connect().get(route);
        assert!(reply.status == 200 && !tells(reply.text().as_bytes()), "{route}: {}", reply.text());
    }
}
