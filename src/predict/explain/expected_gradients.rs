//! Expected gradients (Erion et al., "Improving performance of deep learning models with axiomatic attribution priors and expected
//! gradients", 2021): integrated gradients, averaged over rows of the training data as baselines. The attributions sum to the difference of
//! the score and the mean score of these rows.

use tch::{Kind, Tensor};

use super::integrated_gradients::{TOLERANCE, gauss_legendre};
use super::table::TableColumns;
use super::{ExplainerKind, Subject};
use crate::data::column::ColumnKind;
use crate::error::{Error, Result};
use cresset_options::number::{NumberOption, Options};

/// The method.
pub(crate) const EXPECTED_GRADIENTS: ExplainerKind = ExplainerKind {
    name: "expected-gradients",
    summary: "gradients averaged between training rows and the input; tables of numbers and one-hot encoded categories",
    options: &[NumberOption::whole(
        "steps",
        0,
        (0, 1024),
        "integration steps for each background row; 0: increased until the sum is exact within 1 %",
    )],
    is_for_tables: true,
    attribute,
};

/// The first and the largest number of integration steps.
const STEPS: (i64, i64) = (8, 512);

fn attribute(options: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    let columns = TableColumns::require(subject.metadata(), EXPECTED_GRADIENTS.name)?;
    subject.require_gradients()?;
    let background = subject.background()?.to_device(input.device());
    check_gradients(&columns, &[input, &background])?;
    if options.whole("steps") > 0 {
        return integrate(subject, input, &background, options.whole("steps"));
    }
    let at_background = subject.scores(&background)?.to_kind(Kind::Double);
    let difference =
        subject.scores(input)?.double_value(&[0]) - at_background.mean(Kind::Double).double_value(&[]);
    // The difference may be small by chance, and the scale of the scores is not.
    let scale = difference.abs().max(at_background.std(false).double_value(&[]));
    let mut steps = STEPS.0;
    loop {
        let attribution = integrate(subject, input, &background, steps)?;
        let sum = attribution.sum(Kind::Double).double_value(&[]);
        if steps >= STEPS.1 || (sum - difference).abs() <= TOLERANCE * scale {
            return Ok(attribution);
        }
        steps *= 2;
    }
}

/// Rejects rows without gradients: indexes of categories are no numbers to interpolate, and neither are missing values.
fn check_gradients(columns: &TableColumns, rows: &[&Tensor]) -> Result<()> {
    let code = columns
        .0
        .iter()
        .find(|column| matches!(column.kind, ColumnKind::Code { .. } | ColumnKind::Hash { .. }));
    let problem = match code {
        Some(code) => {
            format!("the column {} has no gradients, because its categories are indexes", code.name)
        }
        None if rows.iter().any(|rows| rows.isnan().any().int64_value(&[]) == 1) => {
            "missing values have no gradients".to_string()
        }
        None => return Ok(()),
    };
    Err(Error::Usage(format!("{problem}; use `--method shapley`")))
}

fn integrate(subject: &Subject, input: &Tensor, background: &Tensor, steps: i64) -> Result<Tensor> {
    let (points, weights) = gauss_legendre(steps as usize);
    let along = |values: &[f64]| {
        Tensor::from_slice(values).to_kind(Kind::Float).to_device(input.device()).view([1, -1, 1])
    };
    let (rows, features) = background.size2()?;
    let path: Tensor = input - background;
    let places = background.unsqueeze(1) + path.unsqueeze(1) * along(&points);
    let gradients = subject.gradients(&places.view([-1, features]))?.view([rows, steps, features]);
    let mean = (gradients * along(&weights)).sum_dim_intlist(1, false, Kind::Float);
    Ok((mean * path).mean_dim(0, false, Kind::Float))
}
