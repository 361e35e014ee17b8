use super::*;
use serde_json::Value;
use std::path::Path;

fn reference() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/optimizers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// PyTorch's schedules ran over 40 steps: here, epochs of one step each.
#[test]
fn schedules_follow_pytorchs_own() {
    let reference = reference();
    for (name, options) in [
        ("step", "every=10,factor=0.5"),
        ("cosine", ""),
        ("cosine-restarts", "cycle=10,growth=2,floor=0.1"),
        ("one-cycle", ""),
        ("wsd", "decay=0.4,root=0,floor=0.25"),
    ] {
        let schedule = Schedule::new(name, options, 0.).unwrap();
        for (step, expected) in reference["schedules"][name].as_array().unwrap().iter().enumerate() {
            let found = schedule.factor(step, 40, 1, PlateauState::default());
            let expected = expected.as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9, "{name}, step {step}: {found}, PyTorch has {expected}");
        }
    }
}

#[test]
fn the_plateau_follows_pytorchs_own() {
    let reference = &reference()["plateau"];
    let schedule = Schedule::new("plateau", "factor=0.5,patience=2", 0.).unwrap();
    let mut state = PlateauState::default();
    for (epoch, loss) in reference["losses"].as_array().unwrap().iter().enumerate() {
        let expected = reference["rates"][epoch].as_f64().unwrap();
        assert_eq!(schedule.factor(epoch, 40, 1, state), expected, "epoch {epoch}");
        state = schedule.epoch_ended(Monitored::Loss(loss.as_f64().unwrap()), state);
    }
}

#[test]
fn a_score_improves_upwards() {
    let schedule = Schedule::new("plateau", "factor=0.5,patience=1", 0.).unwrap();
    let scores = [0.5, 0.6, 0.7, 0.7, 0.7, 0.8, 0.79, 0.8];
    let mut state = PlateauState::default();
    let factors = scores.map(|score| {
        state = schedule.epoch_ended(Monitored::Score(score), state);
        state.factor
    });
    assert_eq!(factors, [1., 1., 1., 1., 0.5, 0.5, 0.5, 0.25]);
}

#[test]
fn warmup_increases_linearly_before_any_schedule() {
    for kind in SCHEDULES {
        let schedule = Schedule::new(kind.name, "", 2.).unwrap();
        let factor = |step| schedule.factor(step, 10, 4, PlateauState::default());
        let rise: Vec<_> = (0..8).map(factor).collect();
        let expected: Vec<_> = (1..=8).map(|step| f64::from(step) / 9.).collect();
        assert_eq!(rise, expected, "{}", kind.name);
        let without = Schedule::new(kind.name, "", 0.).unwrap();
        assert_eq!(factor(8), without.factor(0, 8, 4, PlateauState::default()), "{}", kind.name);
    }
}

#[test]
fn every_factor_is_between_zero_and_one() {
    for kind in SCHEDULES {
        let schedule = Schedule::new(kind.name, "", 0.5).unwrap();
        for (epochs, per_epoch) in [(1, 1), (1, 3), (3, 1), (7, 5)] {
            for step in 0..epochs as usize * per_epoch + 2 {
                let factor = schedule.factor(step, epochs, per_epoch, PlateauState::default());
                assert!((0. ..=1.).contains(&factor), "{}, step {step}: {factor}", kind.name);
            }
        }
    }
}
