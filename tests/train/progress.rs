//! What is seen while a model trains: on a terminal, a narrow one, in a file, in CI.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::job::{epochs, wait_for};
use crate::support::{cresset, stderr, text};

/// Runs a training of some hundred milliseconds an epoch on a terminal of so many columns, and gives all that it shows.
fn on_terminal(columns: u32, options: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().join("shown");
    let run = folder.path().join("run");
    // Small batches, so that the bar is drawn within an epoch on a fast machine, too.
    let training = format!(
        "stty cols {columns} rows 30; {} train --model cnn --epochs 3 --batch-size 2 --threads 1 --device cpu --out {} {options}",
        env!("CARGO_BIN_EXE_cresset"),
        text(&run)
    );
    // `script` gives a program a terminal.
    let output = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &training, text(&shown)])
        .env_remove("CI")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied())
        .output()
        .expect("util-linux is there");
    let shown = String::from_utf8_lossy(&std::fs::read(&shown).unwrap()).into_owned();
    assert!(output.status.success(), "{shown}");
    assert!(run.join("model.pt").is_file());
    shown
}

fn piped(run: &Path, options: &[&str]) -> Output {
    let mut command = cresset();
    command.args(["train", "--epochs", "3", "--out", text(run)]).args(options);
    command.output().unwrap()
}

#[test]
fn a_terminal_shows_a_bar_with_figures() {
    let shown = on_terminal(120, "", &[]);
    for part in ["epoch   1/3", "━", " %  loss ", "accuracy ", "ETA 0:0", "/s  lr 0.001", " MB"] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    assert!(shown.contains("\u{1b}[36m"), "no colour:\n{shown}");
}

#[test]
fn a_narrow_terminal_shows_what_fits_in_a_line() {
    let shown = on_terminal(44, "", &[]);
    assert!(shown.contains("━") && shown.contains("loss ") && !shown.contains("ETA"), "{shown}");
}

#[test]
fn no_color_disables_colors() {
    let shown = on_terminal(120, "", &[("NO_COLOR", "1")]);
    assert!(shown.contains("━") && !shown.contains("\u{1b}[36m"), "{shown}");
}

#[test]
fn ci_and_dumb_terminals_get_plain_lines() {
    for variable in [("CI", "true"), ("TERM", "dumb")] {
        let shown = on_terminal(120, "", &[variable]);
        assert!(shown.contains("epoch   3/3  loss"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('━'), "{variable:?}: {shown}");
    }
}

#[test]
fn a_file_gets_a_line_an_epoch_and_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let output = piped(&folder.path().join("run"), &[]);
    let lines = stderr(&output);
    assert!(output.status.success(), "{lines}");
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(!lines.contains(['\u{1b}', '\r']), "{lines}");
}

#[test]
fn the_dashboard_shows_curves_and_gives_the_terminal_back() {
    let shown = on_terminal(120, "--tui", &[]);
    let (enter, leave) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    let (_, dashboard) = shown.split_once(enter).expect("it takes the terminal");
    let (dashboard, after) = dashboard.split_once(leave).expect("it gives it back");
    assert!(dashboard.contains("accuracy,") && dashboard.contains("validation"), "{dashboard}");
    assert!(dashboard.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "no curve: {dashboard}");
    assert!(after.contains("validation accuracy"), "{after}");
}

#[test]
fn a_closed_terminal_saves_a_checkpoint_and_ends_training() {
    let folder = tempfile::tempdir().unwrap();
    let (run, number) = (folder.path().join("run"), folder.path().join("number"));
    let training = format!(
        "echo $$ > {}; exec {} train --epochs 1000000 --threads 1 --device cpu --tui --out {}",
        text(&number),
        env!("CARGO_BIN_EXE_cresset"),
        text(&run)
    );
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command", &training, "/dev/null"])
        .env("TERM", "xterm-256color")
        .stdout(Stdio::null())
        .spawn()
        .expect("util-linux is there");
    wait_for(&run.join("checkpoints/best.safetensors"), &mut terminal);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let number = std::fs::read_to_string(&number).unwrap();
    let process = Path::new("/proc").join(number.trim());
    let begun = Instant::now();
    while process.exists() {
        if begun.elapsed() > Duration::from_secs(60) {
            Command::new("kill").args(["-9", number.trim()]).status().unwrap();
            panic!("it goes on without its terminal");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let epochs = epochs(&run).len().to_string();
    let done = run_again(&run, &epochs);
    assert!(done.status.success(), "{}", stderr(&done));
}

/// Goes on with a run to the end of this epoch, which is done or under way.
fn run_again(run: &Path, epoch: &str) -> Output {
    cresset().args(["train", "--resume", text(run), "--epochs", epoch]).output().unwrap()
}

#[test]
fn the_dashboard_needs_a_terminal_and_one_training() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    for (options, problem) in [
        (&["--tui"][..], "--tui needs a terminal"),
        (&["--tui", "--folds", "3"], "--tui"),
        (&["--tensorboard", "--folds", "3"], "--tensorboard is for a single run"),
    ] {
        let output = piped(&run, options);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
        assert!(!run.exists(), "a folder was made");
    }
}
