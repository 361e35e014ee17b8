//! `cresset recommend`

use std::path::PathBuf;

use clap::Args;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::options::Config;
use cresset::predict::{Recommendation, Recommender};
use cresset::run::{Examples, RunFolder, chosen_items};
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
        let examples = match self.model.is_dir() && !self.include_chosen {
            true => {
                let run = RunFolder::open(&self.model)?;
                Some(Examples::reopen_without_corrections(&Config::read(&run.config_file())?, &run)?)
            }
            false => None,
        };
        if let Some(item) = self.exclude.iter().find(|item| !recommender.items().contains(item)) {
            let problem = format!("--exclude {}: the model does not know this item", terminal::line(item));
            return Err(Error::Usage(problem).into());
        }
        for user in &self.user {
            let chosen = match (&examples, recommender.index(user)) {
                (Some(examples), Some(index)) => chosen_items(&examples.dataset, index),
                _ => Vec::new(),
            };
            let chosen = chosen.iter().map(|item| recommender.items()[*item as usize].as_str());
            let exclude: Vec<&str> = self.exclude.iter().map(String::as_str).chain(chosen).collect();
            let items = recommender.recommend(user, self.top_k as usize, &exclude)?;
            self.print(Line { user, known: recommender.index(user).is_some(), items })?;
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
