//! What a training prints before and after: data, model, device and folder; metrics, files and the next commands.

use cresset::data::column::ColumnKind;
use cresset::data::{Dataset, Inputs, TaskKind, audit, room, terminal};
use cresset::evaluate::{Evaluation, Sums};
use cresset::model::Outputs;
use cresset::options::{ModelChoice, device};
use cresset::recipe::Recipe;
use cresset::run::{Prepared, Run, RunFolder, Trained};

use crate::thousands;

#[cfg(feature = "tui")]
/// The title of the dashboard: folder, model, device and data.
pub fn title(run: &Run) -> String {
    let Prepared { dataset, device, .. } = &run.prepared;
    format!(
        "{}   {} on {}   {}",
        terminal::path(run.folder.path()),
        terminal::line(&run.config.model),
        terminal::path(&dataset.path),
        device::name(*device)
    )
}

pub fn introduction(run: &Run) -> String {
    let Prepared { dataset, split, network, init, device, threads, .. } = &run.prepared;
    let range =
        dataset.range.map(|range| format!(", values {}–{}", range.min, range.max)).unwrap_or_default();
    let test = match split.test.len() {
        0 => String::new(),
        rows => format!(", {} for testing", thousands(rows)),
    };
    let corrected = run.prepared.corrections.as_ref().map_or(String::new(), |corrections| {
        let (trained, kept) = (corrections.trained.len(), corrections.kept.len());
        let kept = if kept > 0 { format!("; {kept} for validation") } else { String::new() };
        let waiting = match corrections.waiting {
            0 => String::new(),
            waiting => format!("; {waiting} waiting for a second opinion"),
        };
        format!("\n        corrections: {trained} for training, ×{}{kept}{waiting}", corrections.weight)
    });
    let parts = match run.config.bag {
        0 => format!(
            "{} for training, {} for validation",
            thousands(split.train_rows()),
            thousands(split.validation.len())
        ),
        bag => {
            format!(
                "{} in {bag} folds, each validates the model trained without it",
                thousands(split.train_rows())
            )
        }
    };
    let data = format!(
        "{}: {} {}{range}, {}; {parts}{test}{corrected}",
        terminal::path(&dataset.path),
        thousands(dataset.rows()),
        match dataset.is_text() {
            true => format!("texts of up to {} tokens", thousands(dataset.shape.features() as usize)),
            false => format!("rows of {}", dataset.shape),
        },
        targets(dataset),
    );
    let streamed = match &dataset.inputs {
        Inputs::Stored(rows) => {
            format!("\nstream  the rows are read from a file of {} in the cache", room::size(rows.bytes()))
        }
        _ => String::new(),
    };
    let data = data + &streamed;
    let (model, parameters) = (terminal::line(&run.config.model), thousands(network.parameter_count()));
    // Loading a TorchScript file may run its code.
    let caution = match ModelChoice::of(&run.config.model) {
        ModelChoice::File(_) => " (TorchScript is code: train only files you trust)",
        _ => "",
    };
    let weights = run.config.pretrained.as_ref().map(|name| format!("{}: ", terminal::line(name)));
    let weights = weights.unwrap_or_default();
    let init = init.as_ref().map_or(String::new(), |init| format!("init    {weights}{}\n", init.summary()));
    let device = device::name(*device);
    let processes = match run.world.size() {
        1 => String::new(),
        size => format!("; {size} processes, global batch size {}", size * run.config.batch_size),
    };
    let folder = terminal::path(run.folder.path());
    let recipe = run.config.provenance.recipe.as_ref().map_or(String::new(), recipe_lines);
    format!(
        "{recipe}data    {data}\nmodel   {model}: {parameters} parameters{caution}\n{init}device  {device}, {threads} CPU thread(s){processes}\nrun     {folder}\n\n"
    )
}

/// What the recipe chose and why; empty if all options were given.
fn recipe_lines(recipe: &Recipe) -> String {
    if recipe.choices.is_empty() {
        return String::new();
    }
    let lines = recipe.lines();
    format!(
        "recipe  {}\n",
        lines.iter().map(|line| terminal::line(line)).collect::<Vec<_>>().join("\n        ")
    )
}

/// Warns about the problems that quick checks find in the data.
pub fn warn_about_data(run: &Run) {
    let dataset = &run.prepared.dataset;
    for problem in audit::quick(dataset, run.config.threads.count().into()) {
        tracing::warn!("{}: {problem}", dataset.path.display());
    }
}

/// Why training stopped early, and a warning about a poor result; empty if there is neither.
pub fn notes(trained: &Trained) -> String {
    let notes = [&trained.stopped_early, &trained.concern].into_iter().flatten();
    notes.map(|note| format!("{note}\n")).collect()
}

/// The number of classes or labels, or the name of the predicted number.
fn targets(dataset: &Dataset) -> String {
    match dataset.task() {
        TaskKind::Classification => format!("{} classes", dataset.classes.len()),
        TaskKind::Multilabel => format!("{} labels (multi-label)", dataset.classes.len()),
        TaskKind::Regression => format!("predicting {} (regression)", terminal::line(&dataset.classes[0])),
        TaskKind::Ranking => choices(dataset),
    }
}

/// The numbers of users and items of the training set.
fn choices(dataset: &Dataset) -> String {
    let categories = |kind: &ColumnKind| match kind {
        ColumnKind::Code { categories, .. } => thousands(categories.len()),
        _ => String::new(),
    };
    let kinds = dataset.table.iter().flat_map(|table| &table.columns).map(|column| categories(&column.kind));
    match &kinds.collect::<Vec<_>>()[..] {
        [users, items] => format!("choices of {items} items by {users} users (ranking)"),
        _ => "ranking".to_string(),
    }
}

/// The main metric on the validation set, and on the test set if there is one.
pub fn scores(trained: &Trained) -> String {
    let validation = &trained.evaluations.validation;
    let test = trained
        .evaluations
        .test
        .as_ref()
        .map_or(String::new(), |test| format!("{} ({})\n", score("test", test), counted(test)));
    let epoch = trained.best.epoch;
    let notes = notes(trained);
    let notes = if notes.is_empty() { notes } else { format!("\n{notes}") };
    format!(
        "{notes}\n{} ({}, with the weights of epoch {epoch})\n{test}\n",
        score("validation", validation),
        counted(validation)
    )
}

/// The name of the main metric and its value.
fn score(part: &str, evaluation: &Evaluation) -> String {
    let (name, value) = match &evaluation.sums {
        Sums::Classes(confusion) => ("accuracy", format!("{:.2} %", 100. * confusion.accuracy())),
        Sums::Labels(counts) => ("micro F1", format!("{:.2} %", 100. * counts.micro_f1())),
        Sums::Ranking(sums) => ("NDCG@10", format!("{:.4}", sums.ndcg())),
        Sums::Values(errors) => ("R²", errors.r2().map_or("–".to_string(), |r2| format!("{r2:.4}"))),
    };
    format!("{:<19}  {value} ", format!("{part} {name}"))
}

/// What the main metric counts.
fn counted(evaluation: &Evaluation) -> String {
    match &evaluation.sums {
        Sums::Classes(confusion) => format!("{} of {} rows", confusion.correct(), confusion.total()),
        Sums::Labels(counts) => {
            let exact = 100. * counts.exact_match();
            format!("all labels correct in {exact:.2} % of {} rows", counts.examples())
        }
        Sums::Values(errors) => {
            format!("mean absolute error {:.4}, {} rows", errors.mae(), errors.examples())
        }
        Sums::Ranking(sums) => format!(
            "hit rate@10 {:.4}, recall@10 {:.4}, {} users",
            sums.hit_rate(),
            sums.recall(),
            thousands(sums.users())
        ),
    }
}

pub fn result(folder: &RunFolder, trained: &Trained) -> String {
    let outputs = &trained.metadata.outputs;
    let report = match outputs.is_classification() {
        true => "learning curves, confusion matrix, errors",
        false => "learning curves, metrics, errors",
    };
    let next = match outputs {
        Outputs::Ranking => {
            format!("Recommend  cresset recommend {} --user USER\n", terminal::argument(folder.path()))
        }
        _ => format!(
            "Report   cresset report {argument}  ({report})\nPredict  cresset predict {argument} {input}\n",
            argument = terminal::argument(folder.path()),
            input = input(trained),
        ),
    };
    format!(
        r#"{scores}written to {folder}/
  model.pt       the trained model, for any libtorch program
  config.toml    all options, to repeat the run
  metrics.csv    loss and {score} of each epoch
  split.csv      the split of each row
  checkpoints/   best and last weights

{next}"#,
        scores = scores(trained),
        score = outputs.score_name(),
        folder = terminal::path(folder.path()),
    )
}

/// An input of the model, for an example.
fn input(trained: &Trained) -> &'static str {
    match (&trained.metadata.input.table, trained.metadata.input.shape.image()) {
        (_, Some(_)) => "IMAGE…",
        (Some(layout), _) if layout.is_text() => "TEXT.txt",
        _ => "TABLE.csv",
    }
}
