//! Classifies the rows of a CSV file of numbers with a torch.export package.
//! Usage: classify_pt2 MODEL.pt2 ROWS.csv SHAPE, where SHAPE is the shape of an example, such as 1,8,8

use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use cresset_bridge::package::Package;
use tch::{Kind, Tensor};

fn numbers<T: FromStr>(text: &str) -> Result<Vec<T>, T::Err> {
    text.split([',', '\n']).map(str::trim).filter(|cell| !cell.is_empty()).map(T::from_str).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [model, rows, shape] = &arguments[..] else {
        return Err("usage: classify_pt2 MODEL.pt2 ROWS.csv SHAPE".into());
    };
    let model = Package::load(Path::new(model), "model")?;
    let classes = model.extra("classes.txt")?;
    let names: Vec<_> = classes.lines().collect();

    let values = numbers::<f32>(&std::fs::read_to_string(rows)?)?;
    let sizes = [vec![-1], numbers(shape)?].concat();
    let logits = model.run(&Tensor::from_slice(&values).f_view(&sizes[..])?)?;
    let (probabilities, indices) = logits.softmax(1, Kind::Float).max_dim(1, false);
    for row in 0..logits.size()[0] {
        let name = names[indices.int64_value(&[row]) as usize];
        print!("{name} {:.4}", probabilities.double_value(&[row]));
        Vec::<f32>::try_from(logits.get(row))?.iter().for_each(|logit| print!(" {logit:?}"));
        println!();
    }
    Ok(())
}
