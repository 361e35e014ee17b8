//! The playground of `cresset serve` in a browser: `make test-browser`.

use std::path::{Path, PathBuf};

use crate::support::browser::Browser;
use crate::support::samples::{mail_options, write_mails};
use crate::support::server::Server;
use crate::support::targets::{clicks_run, prices_run, tags_run};
use crate::support::{self, root, succeed, text};
use cresset::feedback;
use serde_json::json;

/// Where images of the page are left to be looked at.
fn photograph(browser: &mut Browser, name: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("playground");
    std::fs::create_dir_all(&folder).unwrap();
    browser.photograph(&folder.join(format!("{name}.png")));
}

/// A run on data by name.
fn trained(folder: &Path, options: &[&str]) -> PathBuf {
    let run = folder.join("run");
    succeed(["train", "--device", "cpu", "--out", text(&run)].iter().chain(options));
    run
}

/// A zero, as people draw it: a ring that is higher than wide.
fn zero() -> Vec<(f64, f64)> {
    let angle = |step: u32| f64::from(step) * std::f64::consts::TAU / 24.;
    (0..=24).map(|step| (0.5 + 0.2 * angle(step).sin(), 0.5 - 0.33 * angle(step).cos())).collect()
}

const ONE: [(f64, f64); 3] = [(0.42, 0.3), (0.52, 0.2), (0.52, 0.8)];
/// With a bar, as many in the data set have.
const SEVEN: [(f64, f64); 6] = [(0.3, 0.2), (0.7, 0.2), (0.55, 0.5), (0.35, 0.5), (0.55, 0.5), (0.45, 0.8)];

fn assert_fits(browser: &mut Browser) {
    let widths = browser.value("[document.documentElement.scrollWidth, innerWidth]");
    assert!(widths[0].as_f64() <= widths[1].as_f64(), "the page is wider than the window: {widths}");
}

/// What the page says of so many corrections.
fn total(corrections: usize) -> String {
    format!("{corrections} correction{} in total", if corrections == 1 { "" } else { "s" })
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn a_drawn_digit_is_classified_explained_and_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = root().join("recipes/cnn.toml");
    // A seed whose model is sure of the drawings, so that the rounding of another processor does not matter.
    let options = ["--config", text(&recipe), "--data", "digits", "--epochs", "15", "--seed", "7"];
    let run = trained(folder.path(), &options);
    let server = Server::start(&run, &[]);
    for (number, (name, width, height, is_phone, scheme)) in
        [("phone", 390, 844, true, "light"), ("desktop", 1280, 900, false, "dark")].into_iter().enumerate()
    {
        let mut browser = Browser::start();
        browser.look(width, height, is_phone, scheme);
        browser.open(&format!("http://127.0.0.1:{}/", server.port));
        browser.wait_for("document.querySelectorAll('#classes button').length == 10");
        assert_fits(&mut browser);
        assert_eq!(browser.text("#name"), "run");
        assert_eq!(browser.value("document.querySelectorAll('#classes button:disabled').length"), 10);

        let zero = zero();
        for (digit, points) in [("1", &ONE[..]), ("0", &zero), ("7", &SEVEN)] {
            browser.draw("#drawing", points);
            browser.wait_for(&format!("document.querySelector('#verdict').innerText.startsWith('{digit},')"));
            browser.wait_for(&format!("document.querySelector('#explained').innerText == '{digit}'"));
            if digit != "7" {
                browser.click("#clear");
                browser.wait_for("document.querySelector('#verdict').innerText == 'Nothing yet.'");
            }
        }
        // The map is no image of one colour, and has red and blue in it.
        let colours = "(() => { const map = document.querySelector('#map'); \
            const pixels = map.getContext('2d').getImageData(0, 0, map.width, map.height).data; let [red, blue] = [0, 0]; \
            for (let at = 0; at < pixels.length; at += 4) { red += pixels[at] > pixels[at + 2] + 40; blue += pixels[at + 2] > pixels[at] + 40; } \
            return [red, blue]; })()";
        let found = browser.value(colours);
        assert!(found[0].as_u64() > Some(100) && found[1].as_u64() > Some(100), "{found}");
        photograph(&mut browser, name);

        // The second class from the top, and what was sent is kept.
        browser.click("#classes li:nth-child(3) button");
        browser.wait_for("document.querySelector('#kept').innerText != ''");
        let kept = browser.text("#kept");
        assert!(kept.starts_with("Saved as 2.") && kept.contains(&total(number + 1)), "{kept}");
        let set = feedback::read(&run.join("feedback")).unwrap();
        let last = set.corrections.last().unwrap();
        assert_eq!((last.correction.as_str(), last.answer.class.as_str()), ("2", "7"));
        let image = last.input.image_path(&run.join("feedback")).unwrap();
        let printed = succeed(["predict", text(&run.join("model.pt")), text(&image), "--output", "plain"]);
        assert_eq!(printed, "7\n");
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn the_keyboard_draws_and_an_error_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&trained(folder.path(), &["--epochs", "3"]), &["--max-pixels", "120000"]);
    let mut browser = Browser::start();
    browser.look(1280, 900, false, "light");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("document.querySelectorAll('#classes button').length == 10");
    browser.type_into("#drawing", " \u{e015}\u{e015}\u{e014}");
    browser.wait_for("document.querySelector('#verdict').innerText != 'Nothing yet.'");
    browser.type_into("#drawing", "\u{e017}");
    browser.wait_for("document.querySelector('#verdict').innerText == 'Nothing yet.'");

    for (name, side, is_taken) in [("small.png", 100, true), ("large.png", 400, false)] {
        let path = folder.path().join(name);
        image::GrayImage::from_fn(side, side, |x, _| image::Luma([(x % 256) as u8])).save(&path).unwrap();
        browser.type_into("#file", text(&path));
        browser.wait_for(&format!("document.querySelector('#problem').hidden == {is_taken} && document.querySelector('#verdict').innerText != 'Nothing yet.'"));
    }
    assert!(browser.text("#problem").contains("400 × 400 pixels"), "{}", browser.text("#problem"));
    // The browser itself notes the refusal.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|line| line.contains("413")) && !complaints.is_empty(), "{complaints:?}");
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn a_table_row_is_edited_and_pasted_and_a_token_is_requested() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), &["--data", "iris", "--recipe", "none", "--epochs", "60"]);
    let token = "0123456789abcdef0123";
    let mut command = support::cresset();
    command.args(["serve", text(&run), "--port", "0", "--threads", "1"]).env("CRESSET_TOKEN", token);
    let server = Server::of(&mut command);
    let mut browser = Browser::start();
    browser.look(390, 844, true, "dark");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("!document.querySelector('#token-form').hidden");
    // A request without the token is in the console.
    assert!(browser.complaints().iter().all(|line| line.contains("401")));
    browser.type_into("#token", token);
    browser.click("#token-form button");
    browser.wait_for("document.querySelectorAll('#fields input[type=text]').length == 4");
    browser.wait_for("document.querySelector('#reasons').children.length == 4");
    assert_fits(&mut browser);
    assert!(browser.text("#fields label").contains("sepal"), "{}", browser.text("#fields"));
    browser.type_into("#paste", "5.1,3.5,1.4,0.2");
    browser.wait_for("document.querySelector('#verdict').innerText.startsWith('setosa')");
    browser.type_into("#field-3", "x");
    browser.wait_for("document.querySelector('#problem').innerText.includes('is not a number')");
    browser.type_into("#field-3", "\u{e003}");
    browser.wait_for("document.querySelector('#problem').hidden");
    // A slider has the range of the training data, follows its field, and changes the prediction.
    let slider = "document.querySelector('#fields div:nth-child(3) input[type=range]')";
    browser.wait_for(&format!("{slider}.min == '1' && {slider}.value == '1.4'"));
    browser.value(&format!("({slider}.value = '6.5', {slider}.dispatchEvent(new Event('input')))"));
    browser.wait_for("document.querySelector('#field-2').value == '6.5'");
    browser.wait_for("!document.querySelector('#verdict').innerText.startsWith('setosa')");
    browser.value("document.querySelector('#paste').value = ''");
    browser.type_into("#paste", "5.1,3.5,1.4,0.2");
    browser.wait_for("document.querySelector('#verdict').innerText.startsWith('setosa')");
    browser.wait_for("document.querySelector('#sum').innerText.includes('on average over rows')");
    browser.click("#classes li:nth-child(2) button");
    browser.wait_for(&format!("document.querySelector('#kept').innerText.includes('{}')", total(1)));
    photograph(&mut browser, "table");
    let set = feedback::read(&run.join("feedback")).unwrap();
    assert_eq!(json!(set.corrections[0].input), json!({ "values": [5.1f32, 3.5f32, 1.4f32, 0.2f32] }));
    assert!(browser.complaints().iter().all(|line| line.contains("422")));
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn predicted_labels_are_shown_with_probabilities_and_thresholds() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&tags_run(folder.path()), &[]);
    let mut browser = Browser::start();
    browser.look(390, 844, true, "light");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("document.querySelectorAll('#classes .mark').length == 3");
    browser.type_into("#paste", "0.9,0.8,0.9");
    browser.wait_for("document.querySelector('#verdict').innerText == 'hot, rare, wide'");
    browser.wait_for("document.querySelectorAll('#classes .chosen').length == 3");
    let about = browser.text("#about");
    assert!(about.contains("3 labels · validation micro F1"), "{about}");
    browser.wait_for("document.querySelector('#reasons').children.length == 3");
    assert_fits(&mut browser);
    photograph(&mut browser, "labels");

    // The last label of the three, the others not.
    for (id, number) in [("#field-0", "-0.9"), ("#field-2", "-0.9")] {
        browser.value(&format!("document.querySelector('{id}').value = ''"));
        browser.type_into(id, number);
    }
    browser.wait_for("document.querySelector('#verdict').innerText == 'wide'");
    let shares =
        browser.value("[...document.querySelectorAll('#classes .share')].map((share) => share.innerText)");
    let shares: Vec<_> = shares.as_array().unwrap().iter().map(|share| share.as_str().unwrap()).collect();
    assert!(shares[0].contains(" % < ") && shares[2].contains(" % ≥ "), "{shares:?}");
    browser.wait_for("document.querySelector('#explained').innerText == 'wide'");

    // There are no corrections.
    assert_eq!(browser.value("document.querySelectorAll('#classes button').length"), 0);
    assert_eq!(browser.value("document.querySelector('#kept').hidden"), true);
    // A number that is typed is no number at first.
    assert!(browser.complaints().iter().all(|line| line.contains("422")));
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn a_number_is_shown_with_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&prices_run(folder.path()), &[]);
    let mut browser = Browser::start();
    browser.look(1280, 900, false, "dark");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("document.querySelector('#paste') && !document.querySelector('#row-input').hidden");
    browser.type_into("#paste", "0.5,0.1,red");
    browser.wait_for("document.querySelector('#field-0').value == '0.5'");
    let inputs = json!({ "inputs": [[0.5, 0.1, "red"]] });
    let result = server.connect().post("/v1/predict", &inputs).granted()["results"][0].clone();
    let whole = |value: &serde_json::Value| value.as_f64().unwrap().trunc().to_string();
    let (value, low) = (whole(&result["value"]), whole(&result["interval"][0]));
    browser.wait_for(&format!("document.querySelector('#verdict').innerText.startsWith('price {value}')"));
    let verdict = browser.text("#verdict");
    assert!(verdict.contains(&format!(", 90 % interval {low}")) && verdict.contains(" to "), "{verdict}");
    let about = browser.text("#about");
    assert!(about.contains("predicts price · validation R² 0.9"), "{about}");
    browser.wait_for("document.querySelector('#explained').innerText == 'price'");
    assert_eq!(browser.text("#raises"), "raises");
    photograph(&mut browser, "number");
    assert_eq!(browser.value("document.querySelector('#classes').hidden"), true);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn the_words_of_a_text_are_colored_and_a_text_is_corrected() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let table = folder.path().join("mails.csv");
    let options = [&mail_options(&table)[..], &["--model", "bow", "--epochs", "6", "--lr", "0.01"]].concat();
    let run = trained(folder.path(), &options);
    let server = Server::start(&run, &[]);
    let mut browser = Browser::start();
    browser.look(390, 844, true, "light");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("document.querySelector('#text') && !document.querySelector('#text-input').hidden");
    browser.type_into("#text", "Here is a été <b>prize</b> for you");
    browser.wait_for("document.querySelector('#verdict').innerText.startsWith('spam')");
    browser.wait_for("document.querySelector('#words .for-back[title]') !== null");
    assert_eq!(browser.text("#words"), "Here is a été <b>prize</b> for you");
    let strongest = "[...document.querySelectorAll('#words mark')].sort((a, b) => parseFloat(b.style.getPropertyValue('--share')) - \
                     parseFloat(a.style.getPropertyValue('--share')))[0].innerText";
    assert_eq!(browser.value(strongest), "prize");
    assert_fits(&mut browser);
    photograph(&mut browser, "text");
    browser.click("#classes li:nth-child(1) button");
    browser.wait_for(&format!("document.querySelector('#kept').innerText.includes('{}')", total(1)));
    assert_eq!(feedback::read(&run.join("feedback")).unwrap().corrections[0].correction, "ham");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// A one that lies on its side, at some height.
fn lying(height: f64) -> [(f64, f64); 2] {
    [(0.15, height), (0.85, height + 0.03)]
}

/// Clears the canvas, draws, and gives the class that the page says.
fn verdict_on(browser: &mut Browser, points: &[(f64, f64)]) -> String {
    browser.click("#clear");
    browser.wait_for("document.querySelector('#verdict').innerText == 'Nothing yet.'");
    browser.draw("#drawing", points);
    browser.wait_for("document.querySelector('#verdict').innerText.includes(',')");
    browser.text("#verdict").split(',').next().unwrap().to_string()
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn a_model_is_fine_tuned_on_corrections_from_the_browser() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = root().join("recipes/cnn.toml");
    let run = trained(folder.path(), &["--config", text(&recipe), "--data", "digits", "--epochs", "15"]);
    let server = Server::start(&run, &[]);
    let mut browser = Browser::start();
    browser.look(1280, 900, false, "light");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("document.querySelectorAll('#classes button').length == 10");

    // Drawn, answered wrongly, corrected by a click.
    for (number, height) in [0.42, 0.46, 0.5, 0.54, 0.58, 0.62].into_iter().enumerate() {
        let answer = verdict_on(&mut browser, &lying(height));
        assert_ne!(answer, "1", "the model knows this already");
        browser.click("#classes li:nth-child(2) button");
        browser.wait_for(&format!(
            "document.querySelector('#kept').innerText.includes('{}')",
            total(number + 1)
        ));
    }

    // Trained again, and put in the place of the served model.
    let (new, feedback) = (folder.path().join("new"), run.join("feedback"));
    let printed = succeed([
        "train",
        "--from",
        text(&run),
        "--feedback",
        text(&feedback),
        "--promote",
        "--out",
        text(&new),
        "--device",
        "cpu",
    ]);
    assert!(printed.contains("promoted: "), "{printed}");
    let sha256 = cresset::data::sha256(&std::fs::read(run.join("model.pt")).unwrap());
    let served = format!(
        "(() => {{ const ask = new XMLHttpRequest(); ask.open('GET', '/v1/models', false); ask.send(); \
         return ask.responseText.includes('{sha256}'); }})()"
    );
    browser.wait_for(&served);

    // One that lies at another height than those that were corrected.
    assert_eq!(verdict_on(&mut browser, &lying(0.48)), "1");
    assert_eq!(verdict_on(&mut browser, &ONE), "1");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn a_user_gets_items() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&clicks_run(folder.path()), &[]);
    let mut browser = Browser::start();
    browser.look(390, 844, true, "light");
    browser.open(&format!("http://127.0.0.1:{}/", server.port));
    browser.wait_for("!document.querySelector('#user-input').hidden");
    let about = browser.text("#about");
    assert!(about.contains("two-tower · 60 users, 52 items · validation NDCG@10 0."), "{about}");
    browser.type_into("#user", "u7");
    browser.wait_for("document.querySelector('#verdict').innerText == 'For u7'");
    browser.wait_for("document.querySelectorAll('#items li').length == 10");
    assert_fits(&mut browser);
    photograph(&mut browser, "recommendations");
    browser.type_into("#user", "x");
    browser.wait_for(
        "document.querySelector('#verdict').innerText.startsWith('u7x is not in the training data')",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}
