//! Served inputs and predictions against the training data.

use std::fmt::Write;

use super::Report;
use crate::evaluate::drift::{BinShare, DRIFTED, MODERATE, VariableDrift};
use crate::report::html::escaped;

/// The most variables that are shown, those with the largest index.
const MAX_SHOWN: usize = 50;

/// Height of a histogram, and width of a bin, in SVG units.
const HEIGHT: f64 = 80.;
const WIDTH: f64 = 28.;

pub fn section(report: &Report) -> Option<String> {
    let served = report.served.as_ref()?;
    let (legend, shown) =
        (legend(), served.variables.iter().take(MAX_SHOWN).map(variable).collect::<String>());
    let problems: String = served
        .problems
        .iter()
        .map(|problem| format!("<p class=\"fault\">{}</p>\n", escaped(problem)))
        .collect();
    Some(format!(
        "<p>The shares of the training data (of predictions: of the validation set) and of {} served inputs, sorted by the population \
         stability index (PSI). Below {MODERATE} little has changed, above {DRIFTED} much. A PSI that so few inputs can have by chance \
         is marked.</p>\n{problems}<p class=\"legend\">{legend}</p>\n<div class=\"plots\">{shown}</div>\n{}",
        served.rows,
        match served.variables.len().saturating_sub(MAX_SHOWN) {
            0 => String::new(),
            more => format!("<p class=\"soft\">{more} more with a smaller index are not shown.</p>\n"),
        }
    ))
}

fn legend() -> String {
    let entry =
        |color: &str, name: &str| format!("<span><i style=\"background:var(--{color})\"></i>{name}</span>");
    entry("one", "training") + &entry("two", "served")
}

fn variable(variable: &VariableDrift) -> String {
    let VariableDrift { psi, by_chance, bins, .. } = variable;
    let note = match (variable.is_drifted(), psi > by_chance) {
        (true, _) => " <span class=\"fault\">drift</span>",
        (false, false) => " <span class=\"soft\">within chance</span>",
        (false, true) => "",
    };
    let title = escaped(&variable.title());
    let bins: Vec<_> = bins.iter().filter(|bin| bin.training > 0. || bin.new > 0.).collect();
    format!(
        "<figure class=\"plot\"><figcaption>{title} <span class=\"legend\">PSI {psi:.3}{note}</span></figcaption>{}</figure>\n",
        histogram(&title, &bins)
    )
}

fn histogram(title: &str, bins: &[&BinShare]) -> String {
    let most = bins.iter().map(|bin| bin.training.max(bin.new)).fold(0., f64::max).max(1e-9);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {:.0} {HEIGHT}\" role=\"img\" aria-label=\"{title}\" style=\"max-width:{:.0}px\">",
        WIDTH * bins.len().max(1) as f64,
        2. * WIDTH * bins.len().max(1) as f64
    );
    for (place, bin) in bins.iter().enumerate() {
        let name = escaped(&bin.bin);
        for (offset, color, whose, share) in
            [(2., "one", "training", bin.training), (14., "two", "served", bin.new)]
        {
            let height = (HEIGHT - 4.) * (share / most).clamp(0., 1.);
            write!(
                svg,
                "<rect x=\"{:.1}\" width=\"12\" y=\"{:.1}\" height=\"{height:.1}\" style=\"fill:var(--{color})\"><title>{name}: \
                 {:.1} % {whose}</title></rect>",
                WIDTH * place as f64 + offset,
                HEIGHT - height,
                100. * share
            )
            .expect("writing to a string does not fail");
        }
    }
    svg + "</svg>"
}
