//! `cresset recommend`

use std::path::PathBuf;

use clap::Args;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::predict::{Query, Recommendation, Recommender};
use cresset::run::{Chosen, RunFolder};
use serde_json::json;

use super::model_file::model_file;
use super::screen::tell;
use super::{Compute, Ended, put, show};

/// Recommend items to users, with a model of `cresset train --user … --item …`
#[derive(Debug, Args)]
pub struct Recommend {
    /// Run folder, exported model (model.pt), or hf:USER/NAME. Of a run, items that the user chose in its data are left out
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,

    /// User, as in the user column of the data; repeat it for several users
    #[arg(long, value_name = "USER", required = true)]
    user: Vec<String>,

    /// Number of items
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,

    /// Item to leave out; repeat it for several items
    #[arg(long, value_name = "ITEM")]
    exclude: Vec<String>,

    /// Also recommend items that the user chose in the data of the run
    #[arg(long)]
    include_chosen: bool,

    /// Print a line of JSON per user
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    compute: Compute,
}

/// The recommendations for a user.
struct Line<'a> {
    user: &'a str,
    /// Whether the user is in the training set.
    known: bool,
    items: Vec<Recommendation>,
}

impl Recommend {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let recommender = Recommender::load(&model_file(&self.model)?, device)?;
        let catalog = recommender.catalog();
        let chosen = match self.model.is_dir() && !self.include_chosen {
            true => Some(Chosen::of_run(&RunFolder::open(&self.model)?, recommender.metadata())?),
            false => None,
        };
        let exclude = self.exclude.iter().map(|item| {
            catalog
                .item(item)
                .map_err(|problem| Error::Usage(format!("--exclude {}: {problem}", terminal::line(item))))
        });
        let exclude: Vec<i64> = exclude.collect::<Result<_, _>>()?;
        let query = |user: &String| {
            let user = catalog.user(user).unwrap_or(-1);
            let chosen = chosen.as_ref().map_or(&[][..], |chosen| chosen.items(user));
            Query { user, count: self.top_k as usize, exclude: [&exclude, chosen].concat() }
        };
        let queries: Vec<Query> = self.user.iter().map(query).collect();
        let answers = recommender.answer(&queries)?;
        for ((user, query), items) in self.user.iter().zip(&queries).zip(answers) {
            self.print(Line { user, known: query.user >= 0, items })?;
        }
        Ok(Ended::Well)
    }

    fn print(&self, line: Line) -> anyhow::Result<()> {
        if self.json {
            let Line { user, known, items } = line;
            return put(&format!("{}\n", json!({ "user": user, "known": known, "items": items })));
        }
        let user = terminal::line(line.user);
        if !line.known {
            tell(&format!(
                "{user} is not in the training data: these items suit a user of whom nothing is known"
            ));
        }
        if self.user.len() > 1 {
            show(&format!("{user}\n"))?;
        }
        let rows = (1..).zip(&line.items);
        let rows = rows.map(|(rank, found)| {
            format!("{rank:>4}  {:>9.4}  {}\n", found.score, terminal::line(&found.item))
        });
        show(&rows.collect::<String>())
    }
}
