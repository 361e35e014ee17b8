//! The Python module of the wheel that `make wheel` packs: its tests in Python, its types, and the notebook in `examples/`.
//!
//! The environment `notebook` has pandas, NumPy, Pillow, Jupyter's kernel, mypy and ruff. Its packages are added to the virtual
//! environment that has the wheel.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{root, text};
use crate::wheel::{Environment, ran};

/// The python of the environment `notebook`.
fn python() -> PathBuf {
    std::env::var_os("CRESSET_PYTHON_NOTEBOOK").expect("`make test` sets CRESSET_PYTHON_NOTEBOOK").into()
}

/// A program of the environment `notebook`.
fn tool(name: &str) -> Command {
    let mut command = Command::new(python().with_file_name(name));
    // Packages of the user or of another environment are not tested.
    command.env_remove("PYTHONPATH").env("PYTHONNOUSERSITE", "1");
    command
}

/// A virtual environment with the wheel, torch, and the packages of the environment `notebook`.
fn environment() -> Environment {
    let environment = Environment::with(&python());
    environment.add_torch();
    let packages = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = ran(tool("python").args(["-c", packages]));
    std::fs::write(environment.packages().join("notebook.pth"), packages).unwrap();
    environment
}

/// Runs a Python file of the tests with the python that has the wheel, in a new folder.
fn run(environment: &Environment, script: &str, arguments: &[&Path]) {
    let mut command = Command::new(environment.path("venv/bin/python"));
    command.arg(here().join(script)).args(arguments).current_dir(environment.path("work"));
    ran(command.env_remove("PYTHONPATH").env("PYTHONNOUSERSITE", "1"));
}

fn here() -> PathBuf {
    root().join("tests/setup/python")
}

#[test]
#[ignore = "needs the wheel and Python packages: make test"]
fn the_module_trains_and_predicts() {
    run(&environment(), "module.py", &[]);
}

#[test]
#[ignore = "needs the wheel and Python packages: make test"]
fn the_notebook_shows_what_it_shows_when_it_is_executed() {
    run(&environment(), "notebook.py", &[&root().join("examples/python/notebook.ipynb")]);
}

#[test]
#[ignore = "needs the wheel and Python packages: make test"]
fn the_module_is_typed_and_has_no_lint() {
    let environment = environment();
    let python = environment.path("venv/bin/python");
    let mut mypy = tool("mypy");
    mypy.args(["--strict", "--no-incremental", "--python-executable", text(&python)]);
    ran(mypy.args(["--package", "cresset"]).current_dir(environment.path("work")));
    // As a user's file: without py.typed, the module would have no types.
    let mut user = tool("mypy");
    user.args(["--strict", "--no-incremental", "--python-executable", text(&python)]);
    ran(user.arg(here().join("module.py")).current_dir(environment.path("work")));
    for (rules, folder) in
        [("E,F,I,UP,B,SIM,RET,D1", root().join("scripts/wheel")), ("E4,E7,E9,F,UP,B", here())]
    {
        let mut ruff = tool("ruff");
        ruff.args(["check", "--isolated", "--no-cache", "--target-version", "py310", "--line-length", "110"]);
        ran(ruff.args(["--select", rules]).arg(folder));
    }
}
