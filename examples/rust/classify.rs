//! Classifies rows of numbers with an exported model, using tch alone. Usage: classify MODEL.pt ROWS.csv

use anyhow::{Context, Result};
use tch::{CModule, IValue, Tensor, no_grad};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, model, rows] = &arguments[..] else { anyhow::bail!("usage: classify MODEL.pt ROWS.csv") };
    let model = CModule::load(model)?;
    let rows = read_rows(rows)?;

    let logits = no_grad(|| model.forward_ts(&[&rows]))?;
    let prediction = no_grad(|| model.method_is("predict", &[IValue::Tensor(rows)]))?;
    let (classes, probabilities) = <(Tensor, Tensor)>::try_from(prediction)?;

    for (row, class) in Vec::<i64>::try_from(classes)?.into_iter().enumerate() {
        let row = row as i64;
        print!("{class} {:.4}", probabilities.double_value(&[row, class]));
        (0..logits.size()[1]).for_each(|i| print!(" {:?}", logits.double_value(&[row, i]) as f32));
        println!();
    }
    Ok(())
}

/// Every row of the file as raw values, float32 (rows, values).
fn read_rows(path: &str) -> Result<Tensor> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let numbers = text.lines().flat_map(|line| line.split(',')).map(str::parse::<f32>);
    let values =
        numbers.collect::<Result<Vec<_>, _>>().with_context(|| format!("{path} holds more than numbers"))?;
    Ok(Tensor::from_slice(&values).view([text.lines().count() as i64, -1]))
}
