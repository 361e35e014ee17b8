//! Accuracy of the default job and of each recipe on the handwritten digits: `make accuracy`.
//!
//! The seeds 0 to 4 each use a different fifth of the digits for validation; the result is the validation accuracy after the
//! last epoch. The benchmark fails if a mean is below its goal.

mod support;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// The job without a recipe.
const DEFAULT: &str = "default";

/// The minimum mean accuracy in percent, by recipe.
const GOALS: [(&str, f64); 6] =
    [(DEFAULT, 94.), ("mlp", 98.4), ("cnn", 99.5), ("resnet9", 99.5), ("lstm", 98.5), ("vit", 98.5)];

const SEEDS: usize = 5;

/// Number of concurrent runs, one thread each.
const CONCURRENT: usize = 2;

/// A run's accuracy in percent, and its duration in minutes.
#[derive(Debug, Clone, Copy)]
struct Figures {
    accuracy: f64,
    minutes: f64,
}

fn main() -> ExitCode {
    support::enter_checkout();
    let mut recipes: Vec<_> = std::fs::read_dir("recipes")
        .expect("the checkout has recipes")
        .map(|entry| {
            entry.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned()
        })
        .collect();
    recipes.sort();
    recipes.insert(0, DEFAULT.to_string());

    let figures = train_all(&recipes);
    println!("| recipe | mean | seeds 0 to {} | deviation | minutes per run | goal |", SEEDS - 1);
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut missed = Vec::new();
    for (recipe, figures) in recipes.iter().zip(figures.chunks(SEEDS)) {
        let (_, goal) = GOALS.iter().find(|(name, _)| name == recipe).expect("every recipe has a goal");
        if report(recipe, figures, *goal) < *goal {
            missed.push(recipe.as_str());
        }
    }
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("below the goal: {}", missed.join(", "));
    ExitCode::FAILURE
}

/// The results of every recipe with every seed; the seeds of a recipe run concurrently.
fn train_all(recipes: &[String]) -> Vec<Figures> {
    let folder = tempfile::tempdir().expect("a folder for the runs");
    let (next, runs) = (AtomicUsize::new(0), recipes.len() * SEEDS);
    let work = || {
        let mut done = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return done;
            }
            let (recipe, seed) = (&recipes[run / SEEDS], run % SEEDS);
            let figures = train(recipe, seed, &folder.path().join(run.to_string()));
            eprintln!("{recipe}, seed {seed}: {:.2} %, {:.2} minutes", figures.accuracy, figures.minutes);
            done.push((run, figures));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers = [(); CONCURRENT].map(|()| scope.spawn(work));
        workers.into_iter().flat_map(|worker| worker.join().expect("the runs succeed")).collect()
    });
    done.sort_by_key(|(run, _)| *run);
    done.into_iter().map(|(_, figures)| figures).collect()
}

fn train(recipe: &str, seed: usize, out: &Path) -> Figures {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--threads", "1", "--seed", &seed.to_string(), "--out"]).arg(out);
    if recipe != DEFAULT {
        command.args(["--config", &format!("recipes/{recipe}.toml")]);
    }
    let begun = Instant::now();
    let output = command.output().expect("cresset can be started");
    let minutes = begun.elapsed().as_secs_f64() / 60.;
    assert!(output.status.success(), "{recipe}: {}", String::from_utf8_lossy(&output.stderr));
    Figures { accuracy: 100. * support::last_accuracy(out), minutes }
}

/// Prints a row of the table, and returns the mean accuracy in percent.
fn report(recipe: &str, figures: &[Figures], goal: f64) -> f64 {
    let mean = |of: &dyn Fn(&Figures) -> f64| figures.iter().map(of).sum::<f64>() / figures.len() as f64;
    let accuracy = mean(&|figures| figures.accuracy);
    let squares = mean(&|figures| (figures.accuracy - accuracy).powi(2)) * figures.len() as f64;
    let deviation = (squares / (figures.len() - 1) as f64).sqrt();
    let seeds: Vec<_> = figures.iter().map(|figures| format!("{:.2}", figures.accuracy)).collect();
    println!(
        "| {recipe} | {accuracy:.2} % | {} | {deviation:.2} | {:.2} | {goal} % |",
        seeds.join(", "),
        mean(&|figures| figures.minutes)
    );
    accuracy
}
