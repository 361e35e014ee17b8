//! Reading search spaces and sampling from them.

use std::path::Path;

use proptest::prelude::*;

use super::{Distribution, Goal, SearchMethod, Space};
use crate::data::TaskKind;
use crate::error::Result;

fn read(text: &str) -> Result<Space> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("space.toml");
    std::fs::write(&path, text).unwrap();
    Space::read(&path)
}

fn problem(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

const WHOLE: &str = r#"
[run]
data = "digits"
model_options = "dropout=0.1"
lr = 0.5

[space]
lr = { log_uniform = [1e-4, 1e-1] }
batch_size = { choice = [16, 32, 64] }
optimizer = { choice = ["adam", "sgd"] }
optimizer_options.momentum = { uniform = [0.5, 0.99] }
model_options = { width = { log_integer = [16, 256] } }

[tune]
method = "halving"
metric = "accuracy"
trials = 9
max_epochs = 9
seed = 3
"#;

#[test]
fn a_space_is_read_and_sampled() {
    let space = read(WHOLE).unwrap();
    assert_eq!(
        (space.settings.method, space.settings.metric),
        (SearchMethod::Halving, Goal::Score(TaskKind::Classification))
    );
    assert_eq!((space.settings.trials, space.settings.max_epochs, space.settings.factor), (9, 9, 3));
    assert_eq!(
        space.parameters[0].distribution,
        Distribution::Choice(["16", "32", "64"].map(String::from).into())
    );
    let (mut with_momentum, mut optimizers) = (0, std::collections::BTreeSet::new());
    for trial in 1..=30 {
        let config = space.config(trial);
        assert_eq!(config, space.config(trial));
        assert!((1e-4..=1e-1).contains(&config.lr) && [16, 32, 64].contains(&config.batch_size));
        assert!(config.model_options.starts_with("dropout=0.1,width="), "{}", config.model_options);
        assert_eq!(config.epochs, 9);
        // Nested options of another optimizer are omitted.
        assert_eq!(config.optimizer == "sgd", config.training.optimizer_options.starts_with("momentum="));
        with_momentum += usize::from(config.optimizer == "sgd");
        optimizers.insert(config.optimizer);
    }
    assert!(optimizers.len() == 2 && with_momentum > 0);
    assert_ne!(space.draw(1), space.draw(2));
    assert_ne!(space.draw(1), read(&WHOLE.replace("seed = 3", "seed = 4")).unwrap().draw(1));
}

#[test]
fn the_spaces_in_the_documentation_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Space::read(&root.join("examples/space.toml")).unwrap();
    let tuning = std::fs::read_to_string(root.join("docs/tuning.md")).unwrap();
    let shown = tuning.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(read(shown).unwrap().settings.trials, 27);
}

#[test]
fn errors_name_file_line_column_and_the_closest_name() {
    for (text, says) in [
        (
            "[space]\nlr = { log_unifrm = [1, 2] }",
            "space.toml, line 2, column 8: unknown distribution `log_unifrm`; did you mean `log_uniform`?",
        ),
        ("[space]\nlrr = { uniform = [1, 2] }", "line 2, column 1: unknown option `lrr`; did you mean `lr`?"),
        ("[run]\nepoch = 3\n[space]", "line 2, column 1: unknown option `epoch`; did you mean `epochs`?"),
        ("[run]\nlr = -3\n[space]", "line 2, column 1: invalid value `-3` for `lr`"),
        (
            "[space]\nlr = { uniform = [-1, 2] }",
            "line 2, column 1: invalid value `-1` for `lr`: expected a number above 0",
        ),
        ("[space]\nepochs = { uniform = [1, 2.5] }", "invalid value `2.5` for `epochs`"),
        (
            "[space]\nlr = { log_uniform = [0, 1] }",
            "line 2, column 22: `0` to `1` is not a valid range for `log_uniform`: expected positive",
        ),
        ("[space]\nlr = { uniform = [3, 1] }", "the minimum comes first"),
        ("[space]\nlr = { uniform = [3] }", "requires two numbers"),
        ("[space]\nlr = { choice = [] }", "requires a list of values"),
        ("[space]\nlr = 0.1", "`lr` needs a distribution, one of uniform, "),
        ("[space]\nseed = { integer = [0, 9] }", "determines the validation split"),
        ("[space]\nheld_out = { uniform = [0.1, 0.2] }", "determines the evaluated examples"),
        ("[space]\nmodel = { choice = [\"mlp\", \"cnm\"] }", "did you mean `cnn`?"),
        (
            "[space]\nmodel_options.widht = { integer = [1, 2] }",
            "line 2, column 15: the options of model mlp: unknown option `widht`",
        ),
        ("[space]\nmodel_options.dropout = { uniform = [0, 2] }", "must be a number from 0 to 0.95, not `2`"),
        (
            "[run]\nmodel_options = \"dropout=0.1\"\n[space]\nmodel_options.dropout = { uniform = [0, 0.2] }",
            "is also in [run]",
        ),
        (
            "[tune]\nmethod = \"halvin\"\n[space]",
            "line 2, column 10: `method` must be one of random, halving, hyperband, not `halvin`; did you mean `halving`?",
        ),
        (
            "[tune]\ntrails = 3\n[space]",
            "line 2, column 1: unknown setting `trails` in [tune]; did you mean `trials`?",
        ),
        ("[tune]\ntrials = 0\n[space]", "line 2, column 10: `trials` must be an integer from 1"),
        ("[tune]\nfactor = 3\n[space]", "`factor` applies to the methods halving and hyperband"),
        ("[tune]\nmethod = \"hyperband\"\ntrials = 3\n[space]", "`trials` is computed from the epochs"),
        (
            "[tune]\nmethod = \"halving\"\nmin_epochs = 30\n[space]",
            "`min_epochs` is greater than `max_epochs`, 10",
        ),
        (
            "[tune]\nmethod = \"halving\"\n[run]\nepochs = 3\n[space]\nlr = { choice = [1] }",
            "line 4, column 1: with this method, `max_epochs`",
        ),
        ("[tun]\n[space]", "line 1, column 2: unknown table `tun`; did you mean `tune`?"),
        ("[run]\nlr = 0.1", "missing table [space]"),
        ("[space]", "is empty"),
        ("space = 3", "`space` must be a table"),
        ("[space]\nlr = = 3", "line 2, column 6: invalid TOML"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(says), "{text}\n{problem}");
    }
    assert!(
        Space::read(Path::new("no/such.toml"))
            .unwrap_err()
            .to_string()
            .contains("cannot read the search space")
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z_\\[\\]{}=\",.0-9\n -]{0,80}") {
        let _ = read(&text);
        let _ = read(&format!("[space]\n{text}"));
        let _ = read(&format!("[space]\nlr = {{ {text} }}"));
        let _ = read(&format!("[space]\nlr = {{ uniform = [{text}] }}"));
    }
}
