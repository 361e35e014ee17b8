//! `scripts/python-env` alone; what it shares with the other scripts is tested in `../fetch.rs`.

use super::checkout::Checkout;
use std::fs;
use std::path::PathBuf;

/// The folder of the only environment in the cache.
fn only_env(checkout: &Checkout) -> PathBuf {
    let found = checkout.list("cache/cresset");
    let mut envs = found.iter().filter(|inside| inside.starts_with("python-") && !inside.contains('/'));
    let env = checkout.path("cache/cresset").join(envs.next().expect("an environment"));
    assert_eq!(envs.next(), None);
    env
}

fn python_env(checkout: &Checkout) -> std::process::Command {
    let mut command = checkout.command("python-env");
    command.arg("keras");
    command
}

#[test]
fn an_environment_is_made_once() {
    let checkout = Checkout::new();
    let first = checkout.finish(&mut python_env(&checkout)).succeeded();
    let python = only_env(&checkout).join("bin/python");
    assert_eq!(first.stdout.trim_end(), python.to_str().unwrap());
    assert!(python.exists());
    assert_eq!((checkout.downloads(), checkout.list("tmp").len()), (1, 0));

    let calls = checkout.python_calls();
    let second = checkout.finish(&mut python_env(&checkout)).succeeded();
    assert_eq!((second.stdout, second.stderr.as_str()), (first.stdout, ""));
    assert_eq!(checkout.python_calls(), calls);
}

#[test]
fn other_requirements_make_another_environment() {
    let checkout = Checkout::new();
    let first = checkout.finish(&mut python_env(&checkout)).succeeded();
    let requirements = checkout.path("checkout/scripts/python-keras.txt");
    let text = fs::read_to_string(&requirements).unwrap();
    fs::write(&requirements, text + "one-more==1.0\n").unwrap();
    let second = checkout.finish(&mut python_env(&checkout)).succeeded();
    assert_ne!(first.stdout, second.stdout);
    assert_eq!(checkout.downloads(), 2);
}

#[test]
fn an_interrupted_environment_is_removed_and_a_killed_one_is_made_anew() {
    let checkout = Checkout::new();
    let running = checkout.start_half_a_download_of(&mut python_env(&checkout));
    running.signal_group("INT");
    running.wait().failed(130, "interrupted; nothing half-made is left.");
    checkout.assert_nothing_half_made();

    let running = checkout.start_half_a_download_of(&mut python_env(&checkout));
    running.signal_group("KILL");
    running.wait();
    let half = only_env(&checkout).join("half-a-wheel");
    assert!(half.exists() && half.with_file_name("bin").join("python").exists());
    checkout.fake_pip("");
    checkout.finish(&mut python_env(&checkout)).succeeded();
    assert!(!half.exists());
}

#[test]
fn an_environment_whose_python_is_gone_is_made_anew() {
    let checkout = Checkout::new();
    checkout.finish(&mut python_env(&checkout)).succeeded();
    let python = only_env(&checkout).join("bin/python");
    fs::remove_file(&python).unwrap();
    checkout.finish(&mut python_env(&checkout)).succeeded();
    assert!(python.exists());
}

#[test]
fn a_system_without_venv_is_told_what_to_install() {
    let checkout = Checkout::new();
    let no_venv = "#!/bin/sh\n[ \"$1\" != -c ] || echo \"$0\"\n[ \"$2\" != venv ] || { echo ensurepip is not available; exit 1; }\n";
    checkout.fake("python3", no_venv);
    let sentence =
        "python3 could not make a virtual environment (Debian, Ubuntu: apt install python3-venv): ensurepip";
    checkout.finish(&mut python_env(&checkout)).failed(1, sentence);
    checkout.assert_nothing_half_made();
}

#[test]
fn an_unknown_environment_is_refused_with_the_known_ones() {
    let checkout = Checkout::new();
    let sentence = "there is no environment 'jax'. Usage: scripts/python-env NAME, where NAME is one of: arrow cmake keras mlflow notebook onnx packaging recommend schemathesis serve tables tensorboard text tokenizers torch trainer transformers.";
    checkout.finish(checkout.command("python-env").arg("jax")).failed(1, sentence);
    checkout.run("python-env").failed(1, "there is no environment ''.");
    assert_eq!(checkout.python_calls(), 0);
}
