//! Classifies images with an exported model. Needs only tch. Usage: classify MODEL.pt IMAGE.png…

use std::error::Error;

use tch::{CModule, IValue, Tensor, no_grad, vision};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [model, paths @ ..] = &arguments[..] else {
        return Err("usage: classify MODEL.pt IMAGE.png…".into());
    };
    let model = CModule::load(model)?;
    let IValue::GenericList(names) = model.method_is::<IValue>("class_names", &[])? else {
        return Err("the model has no class names".into());
    };

    for path in paths {
        let pixels = vision::image::load(path)?.unsqueeze(0);
        let image = model.method_ts("pixels", &[&pixels])?;
        let logits = no_grad(|| model.forward_ts(&[&image]))?;
        let prediction = no_grad(|| model.method_is("predict", &[IValue::Tensor(image)]))?;
        let (classes, probabilities) = <(Tensor, Tensor)>::try_from(prediction)?;

        let class = classes.int64_value(&[0]);
        let IValue::String(name) = &names[class as usize] else { unreachable!("names are strings") };
        print!("{path} {name} {:.4}", probabilities.double_value(&[0, class]));
        (0..logits.size()[1]).for_each(|i| print!(" {:?}", logits.double_value(&[0, i]) as f32));
        println!();
    }
    Ok(())
}
