//! Search spaces: TOML files with the tables `[run]` (fixed options), `[space]` (sampled options) and `[tune]` (settings of
//! the search).

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::distribution::{Distribution, NAMES};
use super::number_options::{OWNERS, known};
use super::settings::{SearchMethod, Settings};
use crate::data::random::{Purpose, stream};
use crate::error::{Error, Result, did_you_mean, quoted};
use crate::options::entries::{Source, scalar};
use crate::options::{Config, SPLIT_OPTIONS, Setting, canonical, checked};
use crate::recipe::NONE;
use cresset_options::number::Options;

/// A search space with the settings of the search.
///
/// ```
/// use cresset::search::Space;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("space.toml");
/// std::fs::write(&path, "[run]\ndata = \"iris\"\n[space]\nbatch_size = { choice = [16, 32] }\n").unwrap();
/// let space = Space::read(&path)?;
/// assert_eq!(space.parameters[0].name, "batch_size");
/// // The options of a trial depend only on the seed and the number of the trial.
/// let config = space.config(7);
/// assert!(config == space.config(7) && [16, 32].contains(&config.batch_size));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// Settings of the search.
    pub settings: Settings,
    /// Sampled options, sorted by name.
    pub parameters: Vec<SampledOption>,
    /// Fixed options.
    fixed: Config,
    given: Vec<Setting>,
}

/// A sampled option.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledOption {
    /// Name: `lr`, or `model_options.width`.
    pub name: String,
    /// Distribution of the values.
    pub distribution: Distribution,
}

/// Why a search has no recipe.
const NO_RECIPE: &str = "a search uses no recipe: the options that it neither fixes nor samples have their defaults; write the options \
                         of the recipe into [run]";

const TABLES: [&str; 3] = ["run", "space", "tune"];

impl SampledOption {
    /// The option of the run file, and the name of the nested option if there is one.
    fn parts(&self) -> (&str, Option<&str>) {
        self.name.split_once('.').map_or((self.name.as_str(), None), |(option, name)| (option, Some(name)))
    }
}

impl Space {
    /// Reads a search space.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML, a name is unknown, a value is invalid, or an option cannot be
    /// sampled; the error names line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let source = Source::read(path, "search space")?;
        let whole = source.table()?;
        for key in whole.get_ref().keys() {
            let name = key.get_ref().as_ref();
            if !TABLES.contains(&name) {
                let hint = did_you_mean(name, TABLES).unwrap_or_else(|| ".".to_string());
                let problem = format!(
                    "unknown table {}{hint} A search space has [run] with the fixed options, [space] with the sampled \
                     options, and [tune]",
                    quoted(name)
                );
                return Err(Error::data(source.at(key.span().start), problem));
            }
        }
        let table = |name: &str| whole.get_ref().iter().find(|(key, _)| key.get_ref().as_ref() == name);
        let given = match table("run") {
            Some((key, value)) => {
                fixed(&source, expect_table(&source, key.span().start, "run", value)?.get_ref())?
            }
            None => Vec::new(),
        };
        let fixed = Config::of(&given).expect("each one was checked");
        if given.iter().any(|setting| setting.name == "recipe" && setting.value != NONE) {
            return Err(Error::data(path, NO_RECIPE));
        }
        let tune = table("tune")
            .map(|(key, value)| expect_table(&source, key.span().start, "tune", value))
            .transpose()?;
        let settings = Settings::read(&source, tune.as_ref(), fixed.epochs)?;
        let Some((key, value)) = table("space") else {
            let problem = "missing table [space], so there is nothing to search; add one, such as \
                           `lr = { log_uniform = [1e-4, 1e-1] }`";
            return Err(Error::data(path, problem));
        };
        let parameters =
            parameters(&source, expect_table(&source, key.span().start, "space", value)?.get_ref())?;
        let space = Space { settings, parameters: Vec::new(), fixed, given };
        let space = Space {
            parameters: parameters.iter().map(|(parameter, _)| parameter.clone()).collect(),
            ..space
        };
        for (parameter, at) in &parameters {
            space.check(parameter).map_err(|problem| Error::data(source.at(*at), problem))?;
        }
        space.check_lengths(&source, table("run").map(|(_, value)| value), &parameters)?;
        Ok(space)
    }

    /// Samples the options of a trial (from 1), as (name, value). Nested options that the trial does not use,
    /// such as the momentum of another optimizer, are omitted.
    pub fn draw(&self, trial: u32) -> Vec<(String, String)> {
        let mut generator = stream(self.settings.seed, Purpose::Search, trial.into());
        let drawn =
            self.parameters.iter().map(|parameter| (parameter, parameter.distribution.draw(&mut generator)));
        let drawn: Vec<_> = drawn.collect();
        let chosen = |owner: &str| {
            let own =
                drawn.iter().find(|(parameter, _)| parameter.name == owner).map(|(_, value)| value.clone());
            own.unwrap_or_else(|| self.fixed_value(owner))
        };
        let is_used = |parameter: &SampledOption| match parameter.parts() {
            (option, Some(name)) => {
                let owner = selecting_option(option).expect("checked on reading");
                known(option, &chosen(owner)).iter().any(|known| known.name == name)
            }
            (_, None) => true,
        };
        let used = drawn.iter().filter(|(parameter, _)| is_used(parameter));
        used.map(|(parameter, value)| (parameter.name.clone(), value.clone())).collect()
    }

    /// The options of a trial.
    pub fn config(&self, trial: u32) -> Config {
        let mut given = self.given.clone();
        let mut parts: Vec<(&str, String)> = Vec::new();
        let drawn = self.draw(trial);
        for (name, value) in &drawn {
            match name.split_once('.') {
                None => given.push(checked(name, Some(value)).expect("bounds are checked")),
                Some((option, name)) => {
                    let part = format!("{name}={value}");
                    match parts.iter_mut().find(|(known, _)| *known == option) {
                        Some((_, text)) => *text += &format!(",{part}"),
                        None => parts.push((option, part)),
                    }
                }
            }
        }
        for (option, text) in parts {
            let fixed = self.fixed_value(option);
            let text = if fixed.is_empty() { text } else { format!("{fixed},{text}") };
            given.push(checked(option, Some(&text)).expect("options are strings"));
        }
        // Defaults that depend on the data would not be those of `best.toml`.
        let config = Config { recipe: NONE.to_string(), ..Config::of(&given).expect("each one was checked") };
        match self.settings.method {
            SearchMethod::Random => config,
            // The learning rate schedule is that of a whole run, even if the trial is pruned.
            SearchMethod::Halving | SearchMethod::Hyperband => {
                Config { epochs: self.settings.max_epochs, ..config }
            }
        }
    }

    fn fixed_value(&self, option: &str) -> String {
        let value =
            self.fixed.entries().into_iter().find(|(name, _)| *name == option).map(|(_, value)| value);
        value.map_or(String::new(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_string))
    }

    /// All values of an option: sampled, or fixed.
    fn choices(&self, option: &str) -> Vec<String> {
        let own = self.parameters.iter().find(|parameter| parameter.name == option);
        own.map_or_else(|| vec![self.fixed_value(option)], |own| own.distribution.extremes())
    }

    /// Validates a sampled option.
    fn check(&self, parameter: &SampledOption) -> std::result::Result<(), String> {
        let (option, name) = parameter.parts();
        if option == "seed" {
            return Err("`seed` determines the validation split, so trials with different seeds cannot be compared; move it \
                        to [run]"
                .to_string());
        }
        if option == "recipe" {
            return Err(NO_RECIPE.to_string());
        }
        if SPLIT_OPTIONS.contains(&canonical(option)) {
            return Err(format!(
                "`{option}` determines the evaluated examples, so trials that differ in it cannot be compared; move it to [run]"
            ));
        }
        let Some(name) = name else {
            let extremes = parameter.distribution.extremes();
            return extremes.iter().try_for_each(|value| checked(option, Some(value)).map(|_| ()));
        };
        let Some(owner) = selecting_option(option) else {
            let options: Vec<_> = OWNERS.iter().map(|(option, _)| *option).collect();
            return Err(format!("`{option}` has no nested options; these do: {}", options.join(", ")));
        };
        let choices = self.choices(owner);
        // Check it for the choices that have it.
        let having =
            choices.iter().filter(|chosen| known(option, chosen).iter().any(|known| known.name == name));
        let having: Vec<_> = having.collect();
        for chosen in if having.is_empty() { vec![&choices[0]] } else { having } {
            for value in parameter.distribution.extremes() {
                let text = format!("{name}={value}");
                Options::parse(&text, &format!("{owner} {chosen}"), known(option, chosen))
                    .map_err(|error| error.to_string())?;
            }
        }
        let is_fixed = self
            .fixed_value(option)
            .split(',')
            .any(|part| part.split('=').next().is_some_and(|own| own.trim() == name));
        if is_fixed { Err(format!("`{name}` is also in [run]")) } else { Ok(()) }
    }

    /// Rejects other lengths if the method determines the number of epochs.
    fn check_lengths(
        &self,
        source: &Source,
        run: Option<&Spanned<DeValue>>,
        parameters: &[(SampledOption, usize)],
    ) -> Result<()> {
        if self.fixed.folds.is_some() && self.fixed.fold.is_none() {
            let problem = "a search trains one model per trial; set `fold`, or remove `folds`";
            return Err(Error::Usage(problem.to_string()));
        }
        if self.settings.method == SearchMethod::Random {
            return Ok(());
        }
        let in_run = run.and_then(|run| run.get_ref().as_table()).and_then(|run| {
            run.keys().find(|key| key.get_ref().as_ref() == "epochs").map(|key| key.span().start)
        });
        let in_space = parameters.iter().find(|(parameter, _)| parameter.name == "epochs").map(|(_, at)| *at);
        match in_run.or(in_space) {
            None => Ok(()),
            Some(at) => {
                let problem =
                    "with this method, `max_epochs` in [tune] sets the number of epochs; remove `epochs`";
                Err(Error::data(source.at(at), problem))
            }
        }
    }
}

/// The option that selects the nested options in `option`.
fn selecting_option(option: &str) -> Option<&'static str> {
    OWNERS.iter().find(|(known, _)| *known == option).map(|(_, owner)| *owner)
}

fn expect_table<'a>(
    source: &Source,
    at: usize,
    name: &str,
    value: &Spanned<DeValue<'a>>,
) -> Result<Spanned<DeTable<'a>>> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(Spanned::new(value.span(), table.clone())),
        _ => Err(Error::data(
            source.at(at),
            format!("`{name}` must be a table; write [{name}] on a separate line"),
        )),
    }
}

/// The options of `[run]`.
fn fixed(source: &Source, table: &DeTable) -> Result<Vec<Setting>> {
    let setting = |(key, value): (&Spanned<std::borrow::Cow<str>>, &Spanned<DeValue>)| {
        let value = scalar(value.get_ref());
        checked(key.get_ref(), value.as_deref())
            .map_err(|problem| Error::data(source.at(key.span().start), problem))
    };
    table.iter().map(setting).collect()
}

/// The options in `[space]` with their positions.
fn parameters(source: &Source, table: &DeTable) -> Result<Vec<(SampledOption, usize)>> {
    let mut parameters = Vec::new();
    for (key, value) in table {
        let (name, at) = (key.get_ref().to_string(), key.span().start);
        let inner = value.get_ref().as_table().filter(|_| selecting_option(&name).is_some());
        let inner = inner.filter(|table| !table.keys().any(|key| NAMES.contains(&key.get_ref().as_ref())));
        match inner {
            Some(table) => {
                for (key, value) in table {
                    let name = format!("{name}.{}", key.get_ref());
                    let distribution = distribution(source, &name, value)?;
                    parameters.push((SampledOption { name, distribution }, key.span().start));
                }
            }
            None => {
                // Report an unknown name first.
                if let Some(problem) =
                    checked(&name, Some("")).err().filter(|text| text.starts_with("unknown"))
                {
                    return Err(Error::data(source.at(at), problem));
                }
                let distribution = distribution(source, &name, value)?;
                parameters.push((SampledOption { name, distribution }, at));
            }
        }
    }
    if parameters.is_empty() {
        return Err(Error::data(source.at(0), "the table [space] is empty, so there is nothing to search"));
    }
    parameters.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    Ok(parameters)
}

fn distribution(source: &Source, name: &str, value: &Spanned<DeValue>) -> Result<Distribution> {
    let fault = |at: usize, problem: String| Error::data(source.at(at), problem);
    let table = value.get_ref().as_table().filter(|table| table.len() == 1);
    let Some((key, values)) = table.and_then(|table| table.iter().next()) else {
        let problem = format!(
            "`{name}` needs a distribution, one of {}; write `{name} = {{ choice = [A, B] }}`, or move a fixed value to [run]",
            NAMES.join(", ")
        );
        return Err(fault(value.span().start, problem));
    };
    let (kind, at) = (key.get_ref().as_ref(), values.span().start);
    if !NAMES.contains(&kind) {
        let hint = did_you_mean(kind, NAMES).unwrap_or_else(|| ".".to_string());
        let problem =
            format!("unknown distribution {}{hint} Distributions: {}", quoted(kind), NAMES.join(", "));
        return Err(fault(key.span().start, problem));
    }
    let texts = values
        .get_ref()
        .as_array()
        .map(|values| values.iter().map(|value| scalar(value.get_ref())).collect::<Option<Vec<String>>>());
    let texts = texts.flatten().filter(|texts| !texts.is_empty());
    let texts =
        texts.ok_or_else(|| fault(at, format!("`{kind}` requires a list of values, such as [1, 8]")))?;
    if kind == "choice" {
        return Ok(Distribution::Choice(texts));
    }
    let [least, most] = &texts[..] else {
        return Err(fault(at, format!("`{kind}` requires two numbers, minimum and maximum")));
    };
    range(kind, least, most).map_err(|problem| fault(at, problem))
}

/// Parses a range of numbers; TOML allows `_` between digits.
fn range(kind: &str, least: &str, most: &str) -> std::result::Result<Distribution, String> {
    let real = |text: &str| text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
    let whole = |text: &str| text.replace('_', "").parse::<i64>().ok();
    let problem = || format!("{} to {} is not a valid range for `{kind}`", quoted(least), quoted(most));
    let rising = |is_rising: bool| match is_rising {
        true => Ok(()),
        false => Err(format!("{}: the minimum comes first", problem())),
    };
    if kind.ends_with("integer") {
        let ends = whole(least).zip(whole(most));
        let (least, most) = ends.ok_or_else(|| format!("{}: expected integers", problem()))?;
        rising(least <= most && most.checked_sub(least).is_some_and(|width| width < 1 << 53))?;
        return match kind {
            "integer" => Ok(Distribution::Integer(least, most)),
            _ if least < 1 => Err(format!("{}: expected positive numbers", problem())),
            _ => Ok(Distribution::LogInteger(least, most)),
        };
    }
    let ends = real(least).zip(real(most));
    let (least, most) = ends.ok_or_else(|| format!("{}: expected numbers", problem()))?;
    rising(least <= most)?;
    match kind {
        "uniform" => Ok(Distribution::Uniform(least, most)),
        _ if least <= 0. => Err(format!("{}: expected positive numbers", problem())),
        _ => Ok(Distribution::LogUniform(least, most)),
    }
}
