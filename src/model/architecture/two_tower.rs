//! Two towers: vectors of users and items.

use tch::nn;

use super::{Architecture, NumberOption, Options};
use crate::data::column::FeatureGroup;
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::{Sequential, TowerOptions, TwoTowers};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "two-tower",
    summary: "vectors of users and items, whose product ranks the items (Yi et al., 2019); for --user and --item",
    options: &[
        NumberOption::whole("width", 64, (1, 4096), "values of a vector"),
        NumberOption::real(
            "temperature",
            0.15,
            (0.001, 10.),
            "divisor of the product of two vectors of length 1",
        ),
        NumberOption::whole("block", 512, (2, 65_536), "examples whose items are compared in training"),
        NumberOption::real(
            "hidden",
            0.1,
            (0., 0.9),
            "share of ids hidden in training if users or items have features, for new ones",
        ),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    let [FeatureGroup::Code { categories: users }, FeatureGroup::Code { categories: items }] =
        task.groups[..]
    else {
        let problem = "the model two-tower is for choices of items by users; select their columns with --user and --item";
        return Err(Error::Usage(problem.to_string()));
    };
    let [of_users, of_items] = &task.described;
    let options = TowerOptions {
        width: options.whole("width"),
        temperature: options.number("temperature"),
        block: options.whole("block"),
        hidden: options.number("hidden"),
    };
    let towers = TwoTowers::new(&(path / TOWERS), [users, items], [of_users, of_items], options);
    Ok(Sequential::default().then(TOWERS, towers))
}

/// The name of the only layer.
pub(crate) const TOWERS: &str = "towers";
