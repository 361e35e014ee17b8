//! Models of recommendations in Python.

use super::python;
use crate::support::samples::write_clicks;
use crate::support::{succeed, text};

/// Compares the methods with each other, and prints recommendations as `cresset recommend` does.
const PROGRAM: &str = r#"
import sys, torch
model = torch.jit.load(sys.argv[1])
users, items = ["u7", "nobody", "u12"], ["i3", "i8", "nothing"]
with torch.inference_mode():
    vectors = model.user_vector(users), model.item_vector(items)
    assert torch.equal(model.score(users, items), (vectors[0] * vectors[1]).sum(-1))
    # The index -1 is an unknown user or item.
    names = model.item_names()
    pairs = torch.tensor([[-1.0, names.index("i8")], [-1.0, -1.0]])
    assert torch.allclose(model(pairs)[0, 0], model.score(["nobody"], ["i8"])[0])
    best, scores = model.recommend("u7", 5, ["i3"])
    assert len(model.recommend("u7", 99, ["i3", "i3"])[0]) == len(names) - 1
    assert torch.allclose(scores, model.score(["u7"] * 5, best), atol=1e-5)
    try:
        model.score(["u7"], [])
    except Exception as error:
        assert "1 user(s) do not match 0 item(s)" in str(error)
    else:
        raise SystemExit("lists of different lengths are taken")
print(" ".join(best))
"#;

#[test]
#[ignore = "needs Python torch: make test-python"]
fn a_program_scores_and_recommends_by_names() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (folder.path().join("clicks.csv"), folder.path().join("run"));
    write_clicks(&data);
    let columns = ["--user", "user", "--item", "item", "--epochs", "5", "--out", text(&run)];
    succeed(["train", "--data", text(&data)].into_iter().chain(columns));
    let file = run.join("model.pt");
    let printed = python(&["-c", PROGRAM, text(&file)]);
    let line =
        succeed(["recommend", text(&file), "--user", "u7", "--top-k", "5", "--exclude", "i3", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let items = line["items"].as_array().unwrap().iter().map(|found| found["item"].as_str().unwrap());
    assert_eq!(printed.trim(), items.collect::<Vec<_>>().join(" "));
}
