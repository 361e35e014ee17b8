//! Each of Cresset's kernels, enabled and disabled in turns in one process: `cargo bench --bench kernels`, with `-- --quick`
//! for fewer rounds and without the rows that take seconds per step, with `-- NAME` for the kernels and rows whose name
//! contains NAME.
//!
//! Each round sets up, warms up and measures the work once with the kernel and once without it. The output shows the medians
//! and the median of the rounds' ratios.

mod inference;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod training;

use std::time::Instant;

use cresset_bridge::kernels::{Kernel, TABLE};
use support::{median, range};

/// Work that a kernel takes part in.
struct Row {
    kernel: Kernel,
    name: &'static str,
    /// Whether it is part of a quick run.
    is_quick: bool,
    /// Sets up the work and returns a function that runs it once and returns the number of units done.
    prepare: Box<dyn Fn() -> Work>,
}

type Work = Box<dyn FnMut() -> usize>;

impl Row {
    fn new(kernel: Kernel, name: &'static str, prepare: impl Fn() -> Work + 'static) -> Self {
        Row { kernel, name, is_quick: true, prepare: Box::new(prepare) }
    }

    fn slow(self) -> Self {
        Row { is_quick: false, ..self }
    }

    /// Microseconds per unit.
    fn time(&self, is_enabled: bool) -> f64 {
        self.kernel.set_enabled(is_enabled);
        let mut work = (self.prepare)();
        work();
        let begun = Instant::now();
        let units = work();
        let seconds = begun.elapsed().as_secs_f64();
        self.kernel.set_enabled(true);
        seconds * 1e6 / units as f64
    }

    fn measure(&self, rounds: usize) {
        let runs = self.kernel.runs();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // The order within a round alternates, too.
            for is_enabled in [round % 2 == 0, round % 2 != 0] {
                if is_enabled { &mut with } else { &mut without }.push(self.time(is_enabled));
            }
        }
        let name = TABLE[self.kernel as usize].name;
        if self.kernel.runs() == runs {
            return println!("| {name} | {} | does not run on this CPU | | |", self.name);
        }
        let ratios: Vec<_> = with.iter().zip(&without).map(|(with, without)| with / without).collect();
        let (least, greatest) = range(&ratios);
        println!(
            "| {name} | {} | {:.1} | {:.1} | {:.2} ({least:.2}–{greatest:.2}) |",
            self.name,
            median(&with),
            median(&without),
            median(&ratios)
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, setting, model] = &arguments[..]
        && mode == inference::HEAP
    {
        return inference::time_heap(setting == "on", model.as_ref());
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let wanted = arguments.iter().find(|argument| !argument.starts_with("--"));
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| name.contains(wanted.as_str()));
    let folder = tempfile::tempdir().expect("a folder");
    // This setting cannot be undone in a process, so it is measured in separate processes.
    Kernel::HeapMemory.set_enabled(false);
    println!("| kernel | row | µs with | µs without | ratio |\n| --- | --- | --- | --- | --- |");
    let rows = training::rows().into_iter().chain(tables::rows(folder.path()));
    for row in rows.chain(inference::rows(folder.path())) {
        let name = TABLE[row.kernel as usize].name;
        if (is_wanted(name) || is_wanted(row.name)) && (row.is_quick || !is_quick) {
            row.measure(if is_quick { 3 } else { 9 });
        }
    }
    let heap = TABLE[Kernel::HeapMemory as usize].name;
    if is_wanted(heap) {
        inference::measure_heap(heap, folder.path(), if is_quick { 3 } else { 9 });
    }
}
