//! What is reported about models of recommendations: on new choices, as a page and as a card.

use std::path::Path;

use crate::support::targets::clicks_run;
use crate::support::yaml::yaml;
use crate::support::{run, stderr, succeed, text};
use serde_json::Value;

/// The metrics that `cresset eval` writes, by name.
fn metrics(folder: &Path, arguments: &[&str]) -> impl Fn(&str) -> f64 + use<> {
    let file = folder.join("figures.json");
    succeed(["eval", "--json", text(&file)].iter().chain(arguments));
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    move |name| {
        let metric = figures["metrics"].as_array().unwrap().iter().find(|metric| metric["name"] == name);
        metric.unwrap()["value"].as_f64().unwrap()
    }
}

/// The best items of a user.
fn recommended(run: &Path, user: &str) -> Vec<String> {
    let line = succeed(["recommend", text(run), "--user", user, "--json", "--top-k", "12"]);
    let line: Value = serde_json::from_str(&line).unwrap();
    let items = line["items"].as_array().unwrap().iter();
    items.map(|found| found["item"].as_str().unwrap().to_string()).collect()
}

#[test]
fn new_choices_are_evaluated_as_recommendations_rank_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let (u3, u8) = (recommended(&out, "u3"), recommended(&out, "u8"));
    // u3 chose the second and the twelfth recommendation, and an old item, which does not count; u8 chose the first, and a new item.
    let old = std::fs::read_to_string(folder.path().join("clicks.csv")).unwrap();
    let old =
        old.lines().find_map(|line| line.strip_prefix("u3,")).unwrap().split(',').next().unwrap().to_string();
    let table = folder.path().join("new.csv");
    let rows = [("u3", &u3[1]), ("u3", &u3[11]), ("u3", &old), ("u8", &u8[0]), ("u8", &"i999".to_string())];
    let rows: String = rows.iter().map(|(user, item)| format!("2026-04-01,{item},{user}\n")).collect();
    std::fs::write(&table, "day,item,user\n".to_string() + &rows).unwrap();
    let found = metrics(folder.path(), &[text(&out), text(&table)]);
    let gain = |place: f64| 1. / (place + 1.).log2();
    let ideal = gain(1.) + gain(2.);
    assert!((found("NDCG@10") - (gain(2.) + gain(1.)) / ideal / 2.).abs() < 1e-6);
    assert!((found("recall@10") - 0.5).abs() < 1e-9 && (found("hit rate@10") - 1.).abs() < 1e-9);
    let said = stderr(&run(["eval", text(&out), text(&table)]));
    assert!(said.contains("1 choice(s) are of items that are not in the training data"), "{said}");

    std::fs::write(&table, "user,item\nnobody,i1\nu8,i5\n").unwrap();
    let said = stderr(&run(["eval", text(&out), text(&table)]));
    assert!(said.contains("1 of 2 users are not in the training data"), "{said}");
    std::fs::write(&table, "user,film\nu3,i1\n").unwrap();
    let said = stderr(&run(["eval", text(&out), text(&table)]));
    assert!(said.contains("no column `item`"), "{said}");
}

#[test]
fn the_page_shows_metrics_and_the_items_that_are_recommended_most() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    succeed(["report", text(&out)]);
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    for expected in [
        "validation NDCG@10",
        "test NDCG@10",
        "choices of items by users",
        "<section id=\"recommendations\"><h2>Recommendations</h2>",
        "The first 10 recommendations to each of 60 users",
        "latency, one user",
        "cresset recommend model.pt --user USER",
        "model.recommend(&quot;USER&quot;, 10, [])",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    let test = metrics(folder.path(), &[text(&out)])("NDCG@10");
    assert!(html.contains(&format!("<td>NDCG@10</td><td>{test:.4}</td>")));
    for unexpected in ["Confusion", "predict(", "rows.csv", "NaN"] {
        assert!(!html.contains(unexpected), "{unexpected}");
    }
    let drift = folder.path().join("drift.json");
    std::fs::write(&drift, "{}").unwrap();
    let output = run(["report", text(&out), "--served", text(&drift)]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_card_says_what_is_recommended_to_whom_and_how_well() {
    let folder = tempfile::tempdir().unwrap();
    let out = clicks_run(folder.path());
    let card = succeed(["card", text(&out), "--output", "-"]);
    let (front, body) = card.strip_prefix("---\n").unwrap().split_once("---\n").unwrap();
    let front = yaml(front);
    assert_eq!(front["pipeline_tag"], "other");
    assert_eq!(front["tags"][1], "recommendation");
    let figures = front["model-index"][0]["results"][0]["metrics"].as_array().unwrap();
    let ndcg =
        figures.iter().find(|figure| figure["type"] == "ndcg_at_10").unwrap()["value"].as_f64().unwrap();
    assert!((ndcg - metrics(folder.path(), &[text(&out)])("NDCG@10")).abs() < 1e-6);
    for expected in [
        "A model that recommends 52 items to 60 users. Its NDCG@10 is **0.",
        "on 60 test choices (95 % interval: ",
        "| validation | 60 |",
        "the last choice of each user for testing",
        "### Recommended items, test set",
        "The items are in `model.items`",
        "cresset recommend model.pt --user USER",
    ] {
        assert!(body.contains(expected), "{expected} is not in {body}");
    }
    for unexpected in ["Preprocessing", "predict", "Majority", "NaN"] {
        assert!(!body.contains(unexpected), "{unexpected}: {body}");
    }
}
