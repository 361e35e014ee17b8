//! Model cards and figures of groups, as a user asks for them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::support::yaml::yaml;
use crate::support::{color_images, run, stderr, succeed, text};
use serde_json::{Value, json};

/// The front matter of a card, and what is below it.
fn parts_of(card: &str) -> (Value, &str) {
    let (front, body) = card.strip_prefix("---\n").unwrap().split_once("---\n").unwrap();
    (yaml(front), body)
}

fn trained(folder: &Path, data: &str, options: &[&str]) -> PathBuf {
    let out = folder.join(data);
    succeed(["train", "--data", data, "--out", text(&out)].iter().chain(options));
    out
}

fn json_of(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    succeed(["eval", "--json", text(&file)].iter().chain(arguments));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn a_card_has_every_section_and_the_metrics_of_eval() {
    let folder = tempfile::tempdir().unwrap();
    for (data, task) in [
        ("iris", "tabular-classification"),
        ("wine", "tabular-classification"),
        ("breast-cancer", "tabular-classification"),
        ("digits", "image-classification"),
    ] {
        let out = trained(folder.path(), data, &["--epochs", "20"]);
        let said = succeed(["card", text(&out)]);
        assert!(said.contains("card.md") && said.contains("not stated: --authors"), "{said}");
        let card = std::fs::read_to_string(out.join("card.md")).unwrap();
        let (front, body) = parts_of(&card);
        let headings: Vec<_> = body.lines().filter(|line| line.starts_with("## ")).collect();
        let expected = [
            "Model details",
            "Intended use",
            "Factors",
            "Metrics",
            "Evaluation and training data",
            "Quantitative analyses",
            "Ethical considerations",
            "Caveats and recommendations",
            "License",
            "How to use it",
        ];
        assert_eq!(headings, expected.map(|heading| format!("## {heading}")));

        let figures = json_of(&[text(&out)]);
        let result = &front["model-index"][0]["results"][0];
        assert_eq!((&front["license"], &front["pipeline_tag"]), (&json!("unknown"), &json!(task)));
        assert_eq!(
            (&front["model-index"][0]["name"], &result["dataset"]["split"]),
            (&json!(data), &json!("validation"))
        );
        assert_eq!(front["tags"][0], task);
        let value_of = |name: &str| {
            figures["metrics"].as_array().unwrap().iter().find(|figure| figure["name"] == name).unwrap()["value"]
                .as_f64()
                .unwrap()
        };
        for metric in result["metrics"].as_array().unwrap() {
            assert_eq!(
                metric["value"].as_f64().unwrap(),
                value_of(metric["name"].as_str().unwrap()),
                "{metric}"
            );
        }
        assert!(body.contains(&format!("| accuracy | {:.2} % |", 100. * value_of("accuracy"))), "{body}");
        assert!(
            body.contains(&format!("calibration error is {:.4}", value_of("calibration error"))),
            "{body}"
        );
        let percent =
            |value: &Value| value.as_f64().map_or("–".into(), |value| format!("{:.2} %", 100. * value));
        for class in figures["classes"].as_array().unwrap() {
            let (name, rows) = (class["class"].as_str().unwrap(), &class["rows"]);
            let row = format!(
                "| {name} | {rows} | {} | {} |",
                percent(&class["precision"]),
                percent(&class["recall"])
            );
            assert!(body.contains(&row), "{row} is not in {body}");
        }
        let sha256 = cresset::data::sha256(&std::fs::read(out.join("model.pt")).unwrap());
        assert!(body.contains(&sha256), "{body}");
        assert_eq!(succeed(["card", text(&out), "--output", "-"]), card);
    }
}

#[test]
fn a_card_contains_the_stated_fields_and_claims_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), "iris", &["--epochs", "1"]);
    let about = folder.path().join("about.toml");
    std::fs::write(
        &about,
        "name = \"flowers: a test\"\nlicense = \"CC-BY-4.0\"\nintended_use = \"Naming irises.\"\n\
         out_of_scope = \"Roses.\"\ncontact = \"botany@example.org\"\n",
    )
    .unwrap();
    let card = succeed([
        "card",
        text(&out),
        "--about",
        text(&about),
        "--contact",
        "a|b@example.org",
        "--output",
        "-",
    ]);
    let (front, body) = parts_of(&card);
    assert_eq!(
        (&front["license"], &front["model-index"][0]["name"]),
        (&json!("cc-by-4.0"), &json!("flowers: a test"))
    );
    for expected in [
        "# flowers: a test",
        "Naming irises.",
        "Roses.",
        "| Contact | a\\|b@example.org |",
        "**Intended users.** *Not stated; use `--intended-users`.*",
        "*No groups were compared; use `--group-by COLUMN`.*",
    ] {
        assert!(body.contains(expected), "{expected} is not in {body}");
    }
    assert!(!body.contains("botany"), "{body}");

    std::fs::write(&about, "license = \"MIT\"\ncontakt = \"x\"\n").unwrap();
    let refused = run(["card", text(&out), "--about", text(&about)]);
    assert_eq!(refused.status.code(), Some(2));
    let says = stderr(&refused);
    assert!(says.contains("about.toml, line 2: unknown field `contakt`; did you mean `contact`?"), "{says}");
}

/// 260 rows: x tells the label, but of the 40 validation rows of m each fourth has the other one. The last 5 are of z.
fn table(folder: &Path) -> (PathBuf, PathBuf) {
    let (path, validation) = (folder.join("people.csv"), folder.join("validation.txt"));
    let mut rows = "x,sex,age,label\n".to_string();
    for row in 0..260 {
        let side = row % 2;
        let sex = if row >= 255 {
            "z"
        } else if row % 4 < 2 {
            "f"
        } else {
            "m"
        };
        let is_wrong = (100..180).contains(&row) && sex == "m" && row % 16 < 4;
        let label = if (side == 1) != is_wrong { "yes" } else { "no" };
        writeln!(rows, "{},{sex},{},{label}", 10 * side, row % 70).unwrap();
    }
    std::fs::write(&path, rows).unwrap();
    let names = (100..180).chain(255..260).map(|row| format!("{row}\n"));
    std::fs::write(&validation, names.collect::<String>()).unwrap();
    (path, validation)
}

#[test]
fn group_metrics_match_a_manual_calculation() {
    let folder = tempfile::tempdir().unwrap();
    let (path, validation) = table(folder.path());
    let out = folder.path().join("run");
    let options =
        ["--ignore", "sex,age", "--validation-list", text(&validation), "--epochs", "20", "--lr", "0.01"];
    succeed(["train", "--data", text(&path), "--out", text(&out)].iter().chain(&options));
    let figures = json_of(&[text(&out), "--group-by", "sex"]);
    let groups = &figures["groups"];
    let of = |index: usize| &groups["groups"][index];
    assert_eq!(
        (&groups["by"], &of(0)["group"], &of(1)["group"], &of(2)["group"]),
        (&json!("sex"), &json!("f"), &json!("m"), &json!("z"))
    );
    // Of m, the rows 114, 115, 130, 131, 146, 147, 162, 163, 178 and 179 have the other label: half of them yes.
    assert_eq!(
        (&of(0)["rows"], &of(0)["accuracy"], &of(1)["rows"], &of(1)["accuracy"]),
        (&json!(40), &json!(1.), &json!(40), &json!(0.75))
    );
    for class in 0..2 {
        let rates = |group: usize| {
            let rates = &of(group)["classes"][class];
            [
                &rates["rows"],
                &rates["true_positive_rate"],
                &rates["false_positive_rate"],
                &rates["selection_rate"],
            ]
            .map(|value| value.as_f64().unwrap())
        };
        assert_eq!((rates(0), rates(1)), ([20., 1., 0., 0.5], [20., 0.75, 0.25, 0.5]));
    }
    let value = |name: &str| groups[name]["value"].as_f64().unwrap();
    assert_eq!(
        (value("accuracy_gap"), value("equalized_odds_difference"), value("demographic_parity_difference")),
        (0.25, 0.25, 0.)
    );
    assert_eq!((&of(2)["is_compared"], &of(2)["rows"]), (&json!(false), &json!(5)));

    // A file of data gives the same rows the same figures, in another order and with the column of another number.
    let text_of = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<_> = text_of.lines().collect();
    let kept = (100..180).chain(255..260).rev().map(|row| rows[row + 1]);
    let other = folder.path().join("other.csv");
    std::fs::write(
        &other,
        std::iter::once(rows[0]).chain(kept).map(|row| format!("{row}\n")).collect::<String>(),
    )
    .unwrap();
    let again = json_of(&[text(&out.join("model.pt")), text(&other), "--group-by", "2"]);
    assert_eq!(again["groups"]["equalized_odds_difference"], groups["equalized_odds_difference"]);
    assert_eq!(again["groups"]["groups"][1]["classes"], of(1)["classes"]);

    let card = succeed(["card", text(&out), "--group-by", "sex", "--output", "-"]);
    for expected in [
        "| f | 88 | 40 |",
        "| m | 40 | 75.00 % |",
        "| z (few) | 5 | 100.00 % |",
        "| equalised odds difference | 25.00 points | true positive rate of no: lowest for m, highest for f | 20 |",
        "It is not a model input",
        "Groups with too few examples to compare: z.",
        "Left out: from the inputs: `sex,age`",
    ] {
        assert!(card.contains(expected), "{expected} is not in {card}");
    }
    let all = succeed(["card", text(&out), "--group-by", "sex", "--least-group-rows", "41", "--output", "-"]);
    assert!(all.contains("Fewer than two groups have enough examples"), "{all}");
    // 70 different ages are quarters.
    let said = succeed(["eval", text(&out), "--group-by", "age"]);
    assert!(
        said.contains("\nto 16 ")
            && said.contains("\nabove 48 ")
            && said.contains("equalised odds difference"),
        "{said}"
    );
    let refused = run(["eval", text(&out), "--group-by", "sexx"]);
    assert!(stderr(&refused).contains("no column `sexx`; did you mean `sex`?"), "{}", stderr(&refused));
}

#[test]
fn images_are_grouped_by_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    color_images(&photos, 20);
    let out = folder.path().join("run");
    succeed([
        "train",
        "--data",
        text(&photos),
        "--validation",
        "0.5",
        "--epochs",
        "2",
        "--image-size",
        "8",
        "--out",
        text(&out),
    ]);
    let refused = run(["card", text(&out), "--group-by", "1"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("is not a table and has no columns"), "{}", stderr(&refused));
    let cameras = folder.path().join("cameras.csv");
    let line = |number: u32| format!("red/{number}.png,{}\n", ["old", "new"][number as usize % 2]);
    std::fs::write(&cameras, "example,camera\n".to_string() + &(0..20).map(line).collect::<String>())
        .unwrap();
    let groups = json_of(&[text(&out), "--groups", text(&cameras)])["groups"].clone();
    let rows: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["rows"].as_u64().unwrap()).collect();
    assert_eq!(
        (rows.iter().sum::<u64>(), rows[0] + rows[1], &groups["groups"][2]["group"]),
        (30, 10, &json!("(not known)"))
    );
    let card = succeed(["card", text(&out), "--groups", text(&cameras), "--output", "-"]);
    assert!(card.contains("### Groups by camera") && card.contains("images (3×8×8)"), "{card}");
}

#[test]
fn the_test_set_is_evaluated_too() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("test.txt");
    std::fs::write(&list, (0..300).map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    let out = trained(folder.path(), "digits", &["--epochs", "2", "--test-list", text(&list)]);
    let card = succeed(["card", text(&out), "--output", "-"]);
    let (front, body) = parts_of(&card);
    let splits: Vec<_> = front["model-index"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| &result["dataset"]["split"])
        .collect();
    assert_eq!(splits, ["validation", "test"]);
    for expected in [
        "### Classes, validation set",
        "### Classes, test set",
        "on 300 test examples (95 %",
        "The test set was not used for any selection.",
    ] {
        assert!(body.contains(expected), "{expected} is not in {body}");
    }
    let metadata = cresset::predict::Classifier::load_on(&out.join("model.pt"), tch::Device::Cpu)
        .unwrap()
        .metadata()
        .clone();
    let accuracy = metadata.metrics.test.unwrap().figures["accuracy"].as_f64().unwrap();
    assert_eq!(front["model-index"][0]["results"][1]["metrics"][0]["value"].as_f64().unwrap(), accuracy);
}

#[test]
fn a_run_whose_data_changed_and_a_model_of_another_run_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = table(folder.path());
    let out = folder.path().join("run");
    succeed(["train", "--data", text(&path), "--ignore", "sex,age", "--epochs", "1", "--out", text(&out)]);
    let iris = trained(folder.path(), "iris", &["--epochs", "1"]);
    let own = std::fs::read(out.join("model.pt")).unwrap();
    std::fs::copy(iris.join("model.pt"), out.join("model.pt")).unwrap();
    let refused = run(["card", text(&out)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("was not trained on the data of this run"), "{}", stderr(&refused));

    std::fs::write(out.join("model.pt"), own).unwrap();
    let more = std::fs::read_to_string(&path).unwrap() + "0,f,30,no\n";
    std::fs::write(&path, more).unwrap();
    let refused = run(["card", text(&out)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("the data has changed since the run"), "{}", stderr(&refused));
    assert!(!out.join("card.md").exists());
}
