//! The pages of docs/: their commands run, their links lead somewhere, and the reference is what the program says.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::shown::{Reader, blocks, page, subcommands};
use crate::support::{cresset, root, two_at_a_time};
use cresset::options::Config;
use cresset_bridge::kernels::{Bits, TABLE};
use cresset_options::OptionSet;

/// The names of the pages, without the table of contents.
fn pages() -> BTreeSet<String> {
    let names =
        std::fs::read_dir(root().join("docs")).unwrap().map(|file| file.unwrap().file_name().into_string());
    let pages = names.map(Result::unwrap).filter(|name| name.ends_with(".md") && name != "SUMMARY.md");
    pages.collect()
}

/// Follows a page as someone who has trained `runs/mine`, unless that is what the page begins with.
fn follow(name: &str, prepare: impl FnOnce(&Reader, &str)) {
    let shown = page(&format!("docs/{name}"));
    let mut reader = Reader::new();
    if shown.contains("runs/mine") && !shown.contains("--out runs/mine\n") {
        reader.train("runs/mine");
    }
    prepare(&reader, &shown);
    reader.follow(&shown);
}

/// The pages whose commands a test of their own runs.
const BY_THEMSELVES: [&str; 2] = ["scale.md", "tuning.md"];

#[test]
fn the_commands_of_the_pages_work() {
    let pages: Vec<_> = pages().into_iter().filter(|name| !BY_THEMSELVES.contains(&name.as_str())).collect();
    two_at_a_time(&pages, |name| follow(name, |_, _| {}));
}

#[test]
fn the_commands_for_many_processes_work_in_one() {
    follow("scale.md", |_, _| {});
}

#[test]
fn the_search_space_that_is_shown_is_searched() {
    follow("tuning.md", |reader, shown| {
        let space = blocks(shown, "toml").remove(0);
        std::fs::write(reader.folder().join("SPACE.toml"), space).unwrap();
    });
}

#[test]
fn the_table_of_contents_names_every_page() {
    let named: BTreeSet<String> = links(&page("docs/SUMMARY.md")).into_iter().collect();
    assert_eq!(named, pages());
}

#[test]
fn every_link_leads_somewhere() {
    let docs = pages().into_iter().map(|name| format!("docs/{name}"));
    for name in docs.chain(["README.md".to_string(), "CONTRIBUTING.md".to_string()]) {
        for link in links(&page(&name)).iter().filter(|link| !link.contains("://")) {
            // The book has no other files than those of its folder.
            assert!(!(name.starts_with("docs/") && link.starts_with("..")), "{name}: {link} leaves the book");
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let beside = Path::new(&name).parent().unwrap().join(file);
            let target = if file.is_empty() { Path::new(&name) } else { &beside };
            assert!(root().join(target).exists(), "{name}: {link} leads nowhere");
            let headings = || headings(&page(target.to_str().unwrap()));
            assert!(heading.is_empty() || headings().contains(heading), "{name}: no heading for {link}");
        }
    }
}

#[test]
fn what_the_book_includes_is_there() {
    let mut included = 0;
    for name in pages() {
        for rest in page(&format!("docs/{name}")).split("{{#include ").skip(1) {
            let place = rest.split("}}").next().unwrap();
            let (file, anchor) = place.split_once(':').unwrap_or((place, ""));
            let text = page(&format!("docs/{file}"));
            for mark in ["ANCHOR", "ANCHOR_END"] {
                let is_there = anchor.is_empty() || text.contains(&format!("<!-- {mark}: {anchor} -->"));
                assert!(is_there, "{name}: {place} has no {mark}");
            }
            included += 1;
        }
    }
    assert!(included >= 5, "only {included} were found");
}

#[test]
fn the_reference_is_what_the_program_says() {
    check_generated("docs/commands.md", &reference());
}

#[test]
fn the_page_of_kernels_is_what_their_table_says() {
    check_generated("docs/kernels.md", &kernels());
}

/// Compares a generated page with the one in the repository; `CRESSET_BLESS=1` writes it instead.
fn check_generated(name: &str, generated: &str) {
    let path = root().join(name);
    if std::env::var_os("CRESSET_BLESS").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(generated.lines()).find(|(kept, printed)| kept != printed);
    let remedy =
        "write it anew: CRESSET_BLESS=1 cargo test --release --workspace --test docs -- reference kernels";
    assert!(kept == generated, "{name} is out of date: {differs:?}; {remedy}");
}

#[test]
fn the_reference_has_every_option_of_a_run() {
    let help = help(&["train".to_string()]);
    let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for spec in Config::specs() {
        let value = if spec.alone.is_some() {
            format!("[<{}>]", spec.value_name)
        } else {
            format!("<{}>", spec.value_name)
        };
        let expected = format!("--{} {value} {}", spec.flag, spec.help);
        assert!(text.contains(&expected), "the help lacks: {expected}");
    }
}

/// The table of kernels as a page.
fn kernels() -> String {
    let mut text = KERNELS.to_string();
    for entry in &TABLE {
        let (file, test) = entry.proof;
        let bits = match entry.bits {
            Bits::Same => "those of libtorch",
            Bits::Rounded => "differ by rounding",
            Bits::Random => "other random numbers, the same on each CPU and for any number of threads",
        };
        text += &format!("\n## {}\n\n", entry.name);
        for (title, value) in [
            ("Replaces", entry.replaces),
            ("Used for", entry.condition),
            ("Time with it / without it", entry.gain),
            ("Bits", bits),
            ("Switch", &format!("`--kernels libtorch`, `Kernel::{:?}.set_enabled(false)`", entry.kernel)),
            ("Source", &format!("`{}`", entry.source)),
            ("Proof that it runs", &format!("`{test}` in `{file}`")),
        ] {
            text += &format!("- **{title}**: {value}\n");
        }
    }
    text
}

/// What stands before the table.
const KERNELS: &str = "# Kernels

Cresset computes with libtorch. Where libtorch is slow for small or special work, Cresset has kernels of its own. This page lists all of \
them; it is generated from the table in `crates/bridge/src/kernels/table.rs`.

- `--kernels libtorch`, an option of all commands, switches all of them off; libtorch then computes everything, and results differ \
by rounding, or by other random numbers. In Rust: `cresset_bridge::kernels::use_libtorch_only()`.
- `-v` logs at the end of a command which of them ran, and how often.
- `cargo bench --bench kernels` measures each kernel with itself on and off in turns, in one process. The ratios below are medians \
of it, on an AMD EPYC with two cores unless another machine is named.

```sh
cresset train --kernels libtorch
```

Two other choices save time in training and have options of their own: the captured CUDA graph of a step (`--cuda-graph`) and the \
layout of images (`--channels-last`). Both use operations of libtorch, as do the fused optimizers of more parameters and the \
quantized layers of `cresset compress`.
";

fn reference() -> String {
    let mut text =
        "# Commands\n\nWhat `cresset COMMAND --help` prints; `-h` prints it in short.\n".to_string();
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(command) = waiting.pop() {
        let help = help(&command);
        let name = [&["cresset".to_string()], &command[..]].concat().join(" ");
        text += &format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
        let below = subcommands(&help).into_iter().rev();
        waiting.extend(below.map(|name| [&command[..], &[name]].concat()));
    }
    text
}

/// The long help, as wide on every machine. Without a terminal, clap takes the width from a variable.
fn help(command: &[String]) -> String {
    let output = cresset().args(command).arg("--help").env("COLUMNS", "100").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    help.lines().map(|line| line.trim_end().to_string() + "\n").collect()
}

/// The text of a page outside its blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Where a page's links and images lead.
fn links(page: &str) -> Vec<String> {
    let targets = |line: &str| {
        let rests = line.split("](").skip(1);
        rests.map(|rest| rest.split(')').next().unwrap().to_string()).collect::<Vec<_>>()
    };
    prose(page).flat_map(targets).collect()
}

/// The anchors of a page's headings, as mdBook and others make them.
fn headings(page: &str) -> BTreeSet<String> {
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    prose(page).filter(|line| line.starts_with('#')).map(anchor).collect()
}
