//! Small images: at most 40 pixels high and wide.

use super::fine_tuning;
use crate::recipe::{BUILT_IN, Choice, Facts, Kind, Start};

/// The kind.
pub const KIND: Kind = Kind {
    name: "small images",
    is: |facts| (1..=LONGEST_SIDE).contains(&facts.longest_side().unwrap_or(0)),
    choose,
};

/// The longest side of small images in pixels.
pub const LONGEST_SIDE: i64 = 40;

/// The model and its training by the number of training images.
struct Size {
    /// The largest number of images.
    up_to: usize,
    /// Whether it takes fast bfloat16 to train within the time budget.
    needs_bf16: bool,
    model: &'static str,
    model_options: &'static str,
    epochs: u32,
    batch_size: u32,
    lr: &'static str,
}

const CNN_SIZE: Size = Size {
    up_to: usize::MAX,
    needs_bf16: false,
    model: "cnn",
    model_options: "",
    epochs: 25,
    batch_size: 128,
    lr: "0.005",
};

const RESNET9_SIZE: Size = Size {
    needs_bf16: true,
    model: "resnet9",
    model_options: "width=32",
    epochs: 26,
    batch_size: 256,
    lr: "0.006",
    ..CNN_SIZE
};

/// The first row that has enough images is used, and whose precision is fast. A model needs its cost in `COSTS`.
const SIZES: &[Size] = &[
    Size { up_to: 3_000, epochs: 60, batch_size: 32, ..CNN_SIZE },
    Size { up_to: 10_000, epochs: 50, batch_size: 64, ..CNN_SIZE },
    Size { up_to: 30_000, epochs: 35, ..CNN_SIZE },
    RESNET9_SIZE,
    CNN_SIZE,
];

/// Seconds that training takes per image and pixel, on two cores of a server of 2023. Measured with images of 28×28.
pub const CNN: f64 = 1.8e-6;
pub const RESNET9: f64 = 4e-6;
const COSTS: &[(&str, f64)] = &[("cnn", CNN), ("resnet9", RESNET9)];

/// The same of `resnet9` with `width=32` in bfloat16.
const RESNET9_BF16: f64 = 1.7e-6;

/// The longest training on two cores, in seconds.
const BUDGET: f64 = 40. * 60.;

/// The fewest epochs, however long they take.
const LEAST_EPOCHS: u32 = 5;

fn choose(facts: &Facts) -> Vec<Choice> {
    if facts.start != Start::Scratch {
        return [fine_tuning::choose(facts), augmentation(facts)].concat();
    }
    if facts.model.is_some() {
        return from_scratch(facts);
    }
    let size = size(facts);
    let cost = if size.needs_bf16 { RESNET9_BF16 } else { cost(size.model) };
    let epochs = size.epochs.min(affordable_epochs(facts, cost, pixels(facts)));
    let batch_size = facts.batch_size(size.batch_size);
    let mut model = Choice::new("accurate on small images for its time").set("model", size.model);
    if !size.model_options.is_empty() {
        model = model.set("model_options", size.model_options);
    }
    let mut choices = vec![
        model,
        Choice::new(format!("{} steps per epoch", facts.steps(batch_size)))
            .set("epochs", epochs)
            .set("batch_size", batch_size),
        optimization(size.model, size.lr),
    ];
    if size.needs_bf16 {
        let reason = "several times as fast here as float32, and as accurate";
        choices.push(Choice::new(reason).set("precision", "bf16"));
    }
    // A larger network needs more augmentation.
    let erasing = if size.model == "resnet9" { ",erasing" } else { "" };
    choices.extend(augmentation(facts).into_iter().map(|choice| choice.extended("augment", erasing)));
    choices
}

fn size(facts: &Facts) -> &'static Size {
    let fits = |size: &&Size| facts.examples <= size.up_to && (facts.has_fast_bf16 || !size.needs_bf16);
    SIZES.iter().find(fits).expect("the last row takes all")
}

/// The cost of a convolutional network, in seconds per image and pixel.
fn cost(model: &str) -> f64 {
    COSTS.iter().find(|(known, _)| *known == model).map_or(RESNET9, |(_, cost)| *cost)
}

fn pixels(facts: &Facts) -> i64 {
    facts.shape.image().map_or(1, |(_, height, width)| height * width)
}

/// The number of epochs within the time budget; unlimited on a GPU. `cost` is in seconds per image and pixel.
pub fn epochs_in_budget(facts: &Facts, cost: f64, pixels: i64) -> u32 {
    if facts.is_on_gpu {
        return u32::MAX;
    }
    let seconds = facts.examples as f64 * pixels as f64 * cost * 2. / facts.cores.max(1) as f64;
    (BUDGET / seconds.max(1e-9)) as u32
}

/// The number of epochs within the time budget, at least [`LEAST_EPOCHS`].
pub fn affordable_epochs(facts: &Facts, cost: f64, pixels: i64) -> u32 {
    epochs_in_budget(facts, cost, pixels).max(LEAST_EPOCHS)
}

/// A given architecture from random weights, with the built-in recipe of its family.
pub fn from_scratch(facts: &Facts) -> Vec<Choice> {
    let model = facts.model.as_deref().unwrap_or_default();
    let family = match model {
        "cnn" => "cnn",
        "mlp" => "mlp",
        "lstm" | "gru" => "lstm",
        _ if model.starts_with("vit") || model.starts_with("dino") || model.starts_with("swin") => "vit",
        _ => "resnet9",
    };
    let recipe = BUILT_IN.iter().find(|recipe| recipe.name == family).expect("the family has a recipe");
    let length = |name: &str| recipe.value(name).parse::<u32>().expect("the recipe has a number");
    let of_cnn = size(&Facts { has_fast_bf16: false, ..facts.clone() });
    // The recipes were tuned on about 1,500 images.
    let share = f64::from(of_cnn.epochs) / f64::from(SIZES[0].epochs);
    let epochs = (f64::from(length("epochs")) * share).ceil() as u32;
    let epochs = match family {
        "cnn" | "resnet9" => epochs.min(affordable_epochs(facts, cost(model), pixels(facts))),
        _ => epochs,
    };
    let batch_size = facts.batch_size(length("batch_size").max(of_cnn.batch_size));
    let mut choices = vec![
        Choice::new(format!("{} steps per epoch", facts.steps(batch_size)))
            .set("epochs", epochs)
            .set("batch_size", batch_size),
        optimization(family, &recipe.value("lr")),
    ];
    let options = recipe.value("model_options");
    if model == family && !options.is_empty() {
        let reason = format!("as in the recipe {family}");
        choices.insert(0, Choice::new(reason).set("model_options", options));
    }
    choices.extend(match facts.longest_side() > Some(LONGEST_SIDE) && facts.can_augment {
        true => vec![fine_tuning::light_augmentation()],
        false => augmentation(facts),
    });
    choices
}

/// Optimizer, regularization and schedule of a built-in recipe, with this learning rate.
pub fn optimization(recipe: &str, lr: &str) -> Choice {
    let built_in = BUILT_IN.iter().find(|known| known.name == recipe).expect("the recipe is built in");
    let names = ["optimizer", "weight_decay", "loss_options", "schedule", "average", "average_decay"];
    let choice = Choice::new(format!("as in the recipe {recipe}")).set("lr", lr);
    names.into_iter().fold(choice, |choice, name| choice.set(name, built_in.value(name)))
}

/// Small changes of position and shape, and mirroring where it keeps the class.
fn augmentation(facts: &Facts) -> Vec<Choice> {
    if !facts.can_augment {
        return Vec::new();
    }
    let channels = facts.shape.image().map_or(1, |(channels, ..)| channels);
    let (flips, why) = match facts.mirror {
        None => (false, "no flips, which turn some characters into others".to_string()),
        Some(mirror) if channels == 1 => {
            let kept = format!("{} of {}", mirror.kept, mirror.classes);
            match mirror.keeps_most() {
                true => (true, format!("mirrored images of {kept} classes look like their own class")),
                false => (
                    false,
                    format!(
                        "no flips, since mirrored images of only {kept} classes look like their own class"
                    ),
                ),
            }
        }
        Some(mirror) if mirror.swaps => {
            (false, "no flips, since mirrored images of two classes look like each other".to_string())
        }
        Some(_) => (true, "mirrored color images keep their class".to_string()),
    };
    let changes = if flips { "flip,crop=2" } else { "affine=10:0.1:0.1:5" };
    vec![Choice::new(why).set("augment", changes)]
}
