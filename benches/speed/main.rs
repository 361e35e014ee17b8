//! Cresset compared with its peers in one run: `make bench`.
//!
//! Every contestant is a separate process, pinned to the same cores with the same number of threads and warmed up; the
//! contestants take turns. Quote the ratios; times depend on the machine and on its load.
//!
//! `QUICK=1` runs fewer rounds and skips contestants that take minutes to start (torch.compile) or to run (large networks).
//! `ROWS=digits,csv` measures only these groups.

mod chart;
mod contest;
mod files;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod table;

use contest::Scale;
use table::Verdict;

/// A group of rows, by the name used in `ROWS`: how to measure it, and our side of it.
struct Group {
    name: &'static str,
    measure: fn(Scale) -> Vec<Verdict>,
    work: fn(&[String]),
}

const GROUPS: [Group; 7] = [
    Group { name: "digits", measure: rows::digits::measure, work: rows::digits::work },
    Group { name: "steps", measure: rows::steps::measure, work: rows::steps::work },
    Group { name: "backbones", measure: rows::steps::measure_backbones, work: rows::steps::work },
    Group { name: "inference", measure: rows::inference::measure, work: rows::inference::work },
    Group { name: "evaluation", measure: rows::evaluation::measure, work: rows::evaluation::work },
    Group { name: "pictures", measure: rows::pictures::measure, work: rows::pictures::work },
    Group { name: "csv", measure: rows::csv::measure, work: rows::csv::work },
];

fn main() {
    support::enter_checkout();
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, word, group, rest @ ..] = &arguments[..]
        && word == contest::WORK
    {
        let group = GROUPS.iter().find(|known| known.name == group).expect("a group of this program");
        return (group.work)(rest);
    }
    let scale =
        if std::env::var("QUICK").is_ok_and(|quick| quick == "1") { Scale::Quick } else { Scale::Full };
    let chosen = std::env::var("ROWS").unwrap_or_default();
    let is_chosen = |group: &&Group| chosen.is_empty() || chosen.split(',').any(|name| name == group.name);
    let mut verdicts = Vec::new();
    for group in GROUPS.iter().filter(is_chosen) {
        eprintln!("{} …", group.name);
        let found = (group.measure)(scale);
        println!("{}", table::details(&found));
        verdicts.extend(found);
    }
    println!("{}", table::summary(&verdicts));
    std::fs::write("bench-results.csv", table::csv(&verdicts)).expect("bench-results.csv can be written");
    std::fs::write("bench-results.svg", chart::svg(&verdicts)).expect("bench-results.svg can be written");
    println!("written to bench-results.csv and bench-results.svg");
}
