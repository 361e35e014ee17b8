//! Training with a teacher, and texts without labels.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::{assert_same_bits, encoder, run, stderr, succeed, text, train_once};

const COMMON: [&str; 6] = ["the", "we", "you", "please", "today", "with"];

/// The number of words of each class.
const WORDS: usize = 20;

/// A message with two words of its class out of the first `words`, and its class.
fn message(number: usize, words: usize) -> (String, &'static str) {
    let class = ["ham", "spam"][number % 2];
    let own = |place: usize| format!("{class}{}", (number / 2 * 7 + place * 3) % words);
    let common = |place: usize| COMMON[(number / 2 * place + place) % COMMON.len()];
    (format!("{} {} {} {} {}", common(1), own(0), common(2), own(1), common(3)), class)
}

/// A table of messages. Its label column is left out if there is no name for it.
fn table(path: &Path, label: Option<&str>, rows: std::ops::Range<usize>, words: usize) -> PathBuf {
    let mut lines = format!("number,body{}\n", label.map_or(String::new(), |label| format!(",{label}")));
    for number in rows {
        let (body, class) = message(number, words);
        let class = label.map_or(String::new(), |_| format!(",{class}"));
        writeln!(lines, "{number},{body}{class}").unwrap();
    }
    std::fs::write(path, lines).unwrap();
    path.to_path_buf()
}

/// A fine-tuned encoder that knows all words, a table of few labels and words, and one without labels.
struct Class {
    folder: tempfile::TempDir,
    teacher: PathBuf,
    few: PathBuf,
    more: PathBuf,
}

impl Class {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let all = table(&at("all.csv"), Some("kind"), 0..400, WORDS);
        let encoder = encoder::write(folder.path(), &std::fs::read_to_string(&all).unwrap());
        let teacher = at("teacher");
        let own = ["--pretrained", text(&encoder), "--epochs", "12", "--optimizer", "adamw", "--lr", "0.003"];
        train_once(&teacher, &[&options(&all)[..], &own].concat());
        let few = table(&at("few.csv"), Some("kind"), 0..40, 3);
        let more = table(&at("more.csv"), None, 1000..1400, WORDS);
        Class { folder, teacher, few, more }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The share of new messages of which two models say the same class.
    fn agreement(&self, student: &Path) -> f64 {
        let new = table(&self.at("new.csv"), None, 2000..2200, WORDS);
        let classes = |model: &Path| -> Vec<String> {
            let said = succeed(["predict", text(model), text(&new)]);
            said.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_string()).collect()
        };
        let (teacher, student) = (classes(&self.teacher), classes(student));
        let same = teacher.iter().zip(&student).filter(|(a, b)| a == b).count();
        same as f64 / teacher.len() as f64
    }
}

fn options(table: &Path) -> [&str; 10] {
    ["--data", text(table), "--text", "body", "--label", "kind", "--threads", "1", "--recipe", "none"]
}

const BOW: [&str; 8] = ["--model", "bow", "--model-options", "rows=4096", "--lr", "0.002", "--epochs", "6"];

#[test]
fn a_student_learns_from_texts_without_labels_what_an_encoder_says_about_them() {
    let class = Class::new();
    let alone = class.at("alone");
    train_once(&alone, &[&options(&class.few)[..], &BOW].concat());
    let own = ["--teacher", text(&class.teacher), "--teacher-share", "0.9"];
    let labels = class.at("labels");
    train_once(&labels, &[&options(&class.few)[..], &BOW, &own].concat());
    let unlabelled = ["--unlabelled", text(&class.more)];
    let taught_options = [&options(&class.few)[..], &BOW, &own, &unlabelled].concat();
    let taught = class.at("taught");
    train_once(&taught, &taught_options);
    let [alone, labels, agreement] = [&alone, &labels, &taught].map(|run| class.agreement(run));
    assert!(
        agreement > 0.9 && agreement > alone + 0.1 && agreement > labels + 0.1,
        "{alone} {labels} {agreement}"
    );
    // The texts without labels are in no part.
    let split = std::fs::read_to_string(taught.join("split.csv")).unwrap();
    assert_eq!(split.lines().count(), 41);
    let inspected = succeed(["inspect", text(&taught.join("model.pt")), "--verify"]);
    assert!(inspected.contains("as recorded"), "{inspected}");

    // A run in two parts has the same bits, and needs the same teacher and texts.
    let cut = class.at("cut");
    let shorter: Vec<&str> =
        taught_options.iter().map(|word| if *word == "6" { "2" } else { word }).collect();
    succeed(["train", "--out", text(&cut)].iter().chain(&shorter));
    let begun = class.at("begun");
    copy(&cut, &begun);
    succeed(["train", "--resume", text(&cut), "--epochs", "6"]);
    assert_same_bits(&taught, &cut);
    table(&class.more, None, 1000..1300, WORDS);
    let refused = run(["train", "--resume", text(&begun), "--epochs", "6"]);
    let said = stderr(&refused);
    assert!(!refused.status.success() && said.contains("SHA-256 of the unlabelled texts"), "{said}");

    // A network of vectors learns from the same teacher, and a finished run does, too.
    let network = class.at("network");
    let small =
        ["--model", "transformer", "--model-options", "rows=512,width=16,depth=1,heads=2", "--lr", "0.01"];
    let small = [&options(&class.few)[..], &small, &own, &unlabelled, &["--epochs", "8"]].concat();
    train_once(&network, &small);
    assert!(class.agreement(&network) > alone, "{}", class.agreement(&network));
    let run = class.at("alone");
    let distill = ["--distill", text(&class.teacher), "--unlabelled", text(&class.more), "--epochs", "4"];
    succeed(["compress", text(&run), "--teacher-share", "0.9"].iter().chain(&distill));
    let distilled = class.agreement(&run.join("compressed/distill.pt"));
    assert!(distilled > alone + 0.1, "{alone} {distilled}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let place = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy(&entry, &place) } else { std::fs::copy(&entry, &place).map(|_| ()).unwrap() }
    }
}

#[test]
fn teachers_and_texts_that_do_not_fit_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = table(&at("data.csv"), Some("kind"), 0..40, 3);
    let teacher = at("teacher");
    train_once(
        &teacher,
        &[&options(&data)[..], &["--model", "bow", "--model-options", "rows=512", "--epochs", "1"]].concat(),
    );
    let digits = at("digits");
    succeed(["train", "--epochs", "1", "--threads", "1", "--out", text(&digits)]);
    let fails = |own: &[&str]| {
        let output = run(["train", "--threads", "1"].iter().chain(own));
        assert!(!output.status.success());
        stderr(&output)
    };
    let texts = ["--data", text(&data), "--text", "body", "--label", "kind"];
    let with = |own: &[&str]| fails(&[&texts[..], own].concat());

    let said = with(&["--teacher", text(&digits)]);
    assert!(
        said.contains("digits/model.pt: it cannot teach this model: it has the classes 0, 1, 2"),
        "{said}"
    );
    let renamed = std::fs::read_to_string(&data).unwrap().replace("body", "words");
    let other = at("other.csv");
    std::fs::write(&other, &renamed).unwrap();
    let said =
        fails(&["--data", text(&other), "--text", "words", "--label", "kind", "--teacher", text(&teacher)]);
    assert!(said.contains("its texts are the columns body, and those of the data are words"), "{said}");
    let said = fails(&["--data", "digits", "--model", "mlp", "--teacher", text(&teacher)]);
    assert!(said.contains("it has the classes ham, spam, and the data has 0"), "{said}");
    // An image model of the same classes.
    for class in ["ham", "spam"] {
        std::fs::create_dir_all(at("images").join(class)).unwrap();
        for number in 0..8u8 {
            let color = if class == "ham" { number } else { 200 + number };
            let path = at("images").join(class).join(format!("{number}.png"));
            image::GrayImage::from_pixel(8, 8, image::Luma([color])).save(path).unwrap();
        }
    }
    let images = at("image-run");
    succeed([
        "train",
        "--data",
        text(&at("images")),
        "--model",
        "mlp",
        "--recipe",
        "none",
        "--epochs",
        "1",
        "--out",
        text(&images),
    ]);
    let said = with(&["--teacher", text(&images)]);
    assert!(said.contains("it takes 1×8×8, and the examples of the data are texts"), "{said}");
    let said = fails(&["--data", text(&at("images")), "--model", "mlp", "--teacher", text(&teacher)]);
    assert!(said.contains("it takes texts, and the examples of the data are none"), "{said}");

    let said = with(&["--unlabelled", text(&data)]);
    assert!(said.contains("--unlabelled requires --teacher"), "{said}");
    let said = with(&["--teacher", text(&teacher), "--unlabelled", text(&other)]);
    assert!(said.contains("other.csv") && said.contains("`body`"), "{said}");
    let said = with(&["--teacher", text(&teacher), "--bag", "3"]);
    assert!(said.contains("--teacher works for a single model"), "{said}");
    let said = with(&["--teacher", text(&at("nothing"))]);
    assert!(said.contains("nothing"), "{said}");
    let said = with(&["--teacher", text(&teacher), "--unlabelled", text(&data), "--sampling", "balanced"]);
    assert!(said.contains("does not work with --sampling balanced"), "{said}");
    // Texts of the validation set are left out of those without labels.
    let output = run([
        "train",
        "--model",
        "bow",
        "--recipe",
        "none",
        "--threads",
        "1",
        "--epochs",
        "1",
        "--out",
        text(&at("run")),
    ]
    .iter()
    .chain(&texts)
    .chain(&["--teacher", text(&teacher), "--unlabelled", text(&data)]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("are also in the validation or test set"), "{}", stderr(&output));
}

#[test]
fn a_teacher_of_images_is_asked_about_each_batch() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let teacher = at("teacher");
    let teach = [
        "train",
        "--recipe",
        "none",
        "--threads",
        "1",
        "--lr",
        "0.003",
        "--epochs",
        "10",
        "--out",
        text(&teacher),
    ];
    succeed(teach);
    let train = |out: &Path, own: &[&str]| {
        let start =
            ["train", "--recipe", "none", "--threads", "1", "--out", text(out), "--teacher", text(&teacher)];
        succeed(start.iter().chain(own));
    };
    let [whole, cut, labels] = ["whole", "cut", "labels"].map(at);
    train(&whole, &["--epochs", "2", "--teacher-share", "1", "--augment", "crop=1"]);
    train(&cut, &["--epochs", "1", "--teacher-share", "1", "--augment", "crop=1"]);
    succeed(["train", "--resume", text(&cut), "--epochs", "2"]);
    assert_same_bits(&whole, &cut);
    train(&labels, &["--epochs", "2", "--teacher-share", "0", "--augment", "crop=1"]);
    assert_ne!(crate::support::bits(&whole), crate::support::bits(&labels));
}
