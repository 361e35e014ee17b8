//! Small data of each kind, as its owner would have it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use cresset::data::{self, DataOptions, Inputs};
use cresset::feedback::{Answer, CorrectedInput, Correction, FeedbackWriter, NewInput};

use super::{color_images, root};

/// The digits of `data/digits.csv`.
pub struct Digits {
    /// 64 values a digit, from 0 to 16.
    pub values: Vec<f32>,
    /// The same from 0 to 255.
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}

impl Digits {
    pub fn read() -> Self {
        let path = root().join("data/digits.csv");
        let dataset = data::load(super::text(&path), &DataOptions::default()).unwrap();
        let Inputs::Floats(values) = dataset.inputs else { panic!("a table holds floats") };
        // 16 is white; 255 / 16 a step keeps every difference.
        let pixels = values.iter().map(|value| (value * 255. / 16.).round() as u8).collect();
        Digits { values, pixels, labels: dataset.labels.iter().map(|label| *label as u8).collect() }
    }

    /// Writes some rows as MNIST does: `NAME-images-idx3-ubyte.gz` and its labels.
    pub fn write_idx(&self, folder: &Path, name: &str, rows: std::ops::Range<usize>) {
        let count = (rows.len() as u32).to_be_bytes();
        let pixels = &self.pixels[64 * rows.start..64 * rows.end];
        let images = [&[0, 0, 8, 3], &count[..], &[0, 0, 0, 8, 0, 0, 0, 8], pixels].concat();
        std::fs::write(folder.join(format!("{name}-images-idx3-ubyte.gz")), packed(&images)).unwrap();
        let labels = [&[0, 0, 8, 1], &count[..], &self.labels[rows]].concat();
        std::fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }

    /// The bytes of `.npy` files of images and of labels.
    pub fn npy(&self) -> (Vec<u8>, Vec<u8>) {
        let npy = |shape: &str, items: &[u8]| {
            let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
            let length = (header.len() as u16).to_le_bytes();
            [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), items].concat()
        };
        (npy("(1797, 8, 8)", &self.pixels), npy("(1797,)", &self.labels))
    }

    /// Writes both as one archive.
    pub fn write_npz(&self, path: &Path) {
        let (x, y) = self.npy();
        let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for (name, bytes) in [("x.npy", x), ("y.npy", y)] {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        archive.finish().unwrap();
    }

    /// Writes the zeros and ones of the first 600 rows as CIFAR-10 does, each pixel 4 × 4 times in three channels.
    pub fn write_cifar(&self, folder: &Path) {
        let mut records = Vec::new();
        for (row, label) in self.labels.iter().enumerate().filter(|(row, label)| **label < 2 && *row < 600) {
            records.push(*label);
            let pixel = |at: usize| self.pixels[64 * row + at % 1024 / 128 * 8 + at % 32 / 4];
            records.extend((0..3 * 1024).map(pixel));
        }
        std::fs::write(folder.join("data_batch_1.bin"), &records).unwrap();
        std::fs::write(folder.join("batches.meta.txt"), "zero\none\n").unwrap();
    }

    /// Writes a feedback set of some rows, changed by `change`, and their class changed by `label`.
    pub fn write_corrections(
        &self,
        folder: &Path,
        rows: std::ops::Range<usize>,
        change: fn(f32) -> f32,
        label: fn(usize) -> usize,
    ) {
        let writer = FeedbackWriter::new(folder).unwrap();
        for row in rows {
            let values: Vec<f32> =
                self.values[64 * row..64 * (row + 1)].iter().map(|value| change(*value)).collect();
            let (id, class) = (format!("c{row}"), label(self.labels[row].into()));
            writer.add(NewInput::Values(&values), |input| correction(&id, input, class), &id).unwrap();
        }
    }
}

/// Writes tables with several labels, in one column and in three, orders of several months, and patients without the number to
/// predict.
fn write_tasks(folder: &Path) {
    let (mut songs, mut symptoms) =
        ("tempo,loudness,moods\n".to_string(), "age,temperature,fever,cough,rash\n".to_string());
    for row in 0..120 {
        let (tempo, loudness) = (60 + row * 37 % 100, row * 53 % 30);
        let moods = [("happy", tempo > 110), ("loud", loudness < 12)].into_iter();
        let moods: Vec<_> = moods.filter(|(_, is_set)| *is_set).map(|(mood, _)| mood).collect();
        writeln!(songs, "{tempo},-{loudness}.5,{}", moods.join("|")).unwrap();
        let (age, tenths) = (20 + row * 17 % 60, row * 29 % 40);
        let set = [tenths > 15, age > 50, row % 7 == 0].map(u8::from);
        let [fever, cough, rash] = set;
        writeln!(symptoms, "{age},{}.{},{fever},{cough},{rash}", 36 + tenths / 10, tenths % 10).unwrap();
    }
    std::fs::write(folder.join("songs.csv"), songs).unwrap();
    std::fs::write(folder.join("new-songs.csv"), "tempo,loudness\n128,-5.1\n64,-20.4\n").unwrap();
    std::fs::write(folder.join("symptoms.csv"), symptoms).unwrap();
    let mut orders = "day,amount,returned\n".to_string();
    for row in 0..120 {
        let amount = 5 + row * 37 % 90;
        let returned = if amount > 60 { "yes" } else { "no" };
        writeln!(orders, "2026-{:02}-{:02},{amount},{returned}", 1 + row / 20, 1 + row % 20).unwrap();
    }
    std::fs::write(folder.join("orders.csv"), orders).unwrap();
    let diabetes = std::fs::read_to_string(root().join("data/diabetes.csv")).unwrap();
    let patients = diabetes.lines().take(6).map(|line| line.rsplit_once(',').unwrap().0.to_string() + "\n");
    std::fs::write(folder.join("patients.csv"), patients.collect::<String>()).unwrap();
}

/// A correction to a class.
pub fn correction(id: &str, input: CorrectedInput, class: usize) -> Correction {
    Correction {
        id: id.to_string(),
        time: "2026-07-31T12:34:56Z".to_string(),
        input,
        answer: Answer { class: "0".to_string(), probability: 0.5 },
        correction: class.to_string(),
        model_sha256: "00".to_string(),
        model_version: None,
    }
}

/// White on black becomes black on white, which no digit of the data is.
pub fn inverted(value: f32) -> f32 {
    16. - value
}

/// The bytes by gzip.
pub fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// All that the pages of `docs/` name: images, tables, arrays, shards and corrections.
pub fn all(folder: &Path) {
    let digits = Digits::read();
    let pixel = |x: u32, y: u32| image::Luma([digits.pixels[(8 * y + x) as usize]]);
    image::GrayImage::from_fn(8, 8, pixel).save(folder.join("digit.png")).unwrap();
    color_images(&folder.join("photos"), 8);
    color_images(&folder.join("new-photos"), 1);
    write_shards(&folder.join("photos"), &folder.join("shards"));
    let listed = ["red", "green", "blue"]
        .map(|class| (0..8).map(|n| format!("{class}/{n},{class}\n")).collect::<String>());
    std::fs::write(folder.join("list.csv"), format!("image,label\n{}", listed.concat())).unwrap();

    let flowers = std::fs::read_to_string(root().join("data/iris.csv")).unwrap();
    std::fs::write(folder.join("flowers.csv"), &flowers).unwrap();
    let (header, rows) = flowers.split_once('\n').unwrap();
    let rows: Vec<_> = rows.lines().collect();
    for (month, rows) in (1..).zip(rows.chunks(rows.len().div_ceil(2))) {
        let part = format!("{header}\n{}\n", rows.join("\n"));
        std::fs::write(folder.join(format!("flowers-{month:02}.csv")), part).unwrap();
    }
    std::fs::rename(super::unlabelled_digits(folder, 5), folder.join("rows.csv")).unwrap();
    let measures = flowers.lines().take(6).map(|line| line.rsplit_once(',').unwrap().0.to_string() + "\n");
    std::fs::write(folder.join("new-flowers.csv"), measures.collect::<String>()).unwrap();

    write_tasks(folder);
    write_clicks(&folder.join("clicks.csv"));
    write_descriptions(folder);
    write_ratings(&folder.join("ratings.csv"));
    std::fs::write(folder.join("new-clicks.csv"), "user,item\nu1,i1\nu1,i2\nu2,i3\nu3,i51\nu99,i7\n")
        .unwrap();
    write_mails(folder);
    for (name, rows) in [("train", 0..1500), ("t10k", 1500..1797)] {
        std::fs::create_dir_all(folder.join("mnist")).unwrap();
        digits.write_idx(&folder.join("mnist"), name, rows);
    }
    std::fs::create_dir(folder.join("cifar-10")).unwrap();
    digits.write_cifar(&folder.join("cifar-10"));
    digits.write_npz(&folder.join("arrays.npz"));
    digits.write_corrections(&folder.join("feedback"), 0..60, inverted, |class| class);
}

/// Writes the clicks of 60 users on 52 items, twelve each. An item is of one of four kinds, and so are users, most of whose clicks are on
/// items of their kind: three of four, and the last two.
pub fn write_clicks(path: &Path) {
    let mut clicks = "user,item,day\n".to_string();
    for user in 0..60 {
        for click in 0..12 {
            let item = match click % 4 {
                1 => (user * 7 + click * 5) % 52,
                _ => (click * 3 + user) % 13 * 4 + user % 4,
            };
            writeln!(clicks, "u{user},i{item},2026-03-{:02}", click + 1).unwrap();
        }
    }
    std::fs::write(path, clicks).unwrap();
}

/// Writes `users.csv` and `items.csv`, which describe the users and items of [`write_clicks`] by their kind, among others. The users u60 to
/// u63 and the items i52 to i55 have no clicks, and u59 and i51 no row.
pub fn write_descriptions(folder: &Path) {
    let kinds = ["north", "south", "east", "west"];
    let mut users = "user,region,age,newsletter\n".to_string();
    for user in (0..64).filter(|user| *user != 59) {
        let age = if user % 9 == 0 { String::new() } else { (20 + user * 13 % 50).to_string() };
        writeln!(users, "u{user},{},{age},{}", kinds[user % 4], if user % 3 == 0 { "yes" } else { "no" })
            .unwrap();
    }
    std::fs::write(folder.join("users.csv"), users).unwrap();
    let mut items = "price,tags,item,since\n".to_string();
    for item in (0..56).filter(|item| *item != 51) {
        let (tag, day) = (["bike", "tent", "boat", "sled"][item % 4], 1 + item % 28);
        writeln!(items, "{}.5,{tag}|{},i{item},2025-01-{day:02}", item % 11, ["new", "sale"][item % 2])
            .unwrap();
    }
    std::fs::write(folder.join("items.csv"), items).unwrap();
}

/// Writes ratings from 1 to 5 by 40 users of 30 items, fifteen each, high ones for items of their kind, and whether the user liked the item.
pub fn write_ratings(path: &Path) {
    let mut ratings = "user,item,rating,liked\n".to_string();
    for user in 0..40 {
        for place in 0..15 {
            let item = (place * 2 + user) % 30;
            let rating =
                if (item + user) % 3 == 0 { 4 + (place + user) % 2 } else { 1 + (place * user + 2) % 3 };
            writeln!(ratings, "u{user},i{item},{rating},{}", if rating >= 4 { "yes" } else { "no" }).unwrap();
        }
    }
    std::fs::write(path, ratings).unwrap();
}

/// The options of a training on the texts of a table of mails.
pub fn mail_options(table: &Path) -> [&str; 8] {
    ["--data", super::text(table), "--text", "body", "--label", "kind", "--threads", "1"]
}

/// Mails in a table and in a folder with a subfolder for each class, and new ones.
pub fn write_mails(folder: &Path) {
    const COMMON: [&str; 6] = ["the", "we", "you", "please", "today", "with"];
    let mut table = "subject,body,kind\n".to_string();
    for number in 0..120 {
        let (class, words) = match number % 2 {
            0 => ("ham", ["meeting", "agenda", "lunch", "review"]),
            _ => ("spam", ["winner", "free", "prize", "click"]),
        };
        let word = |place: usize| match (number * 7 + place * 5) % 3 {
            0 => words[(number + place) % 4],
            _ => COMMON[(number * place + place) % 6],
        };
        let body = (0..8 + number % 5).map(word).collect::<Vec<_>>().join(" ");
        table += &format!("re {},{body} {},{class}\n", number % 9, words[number / 2 % 4]);
        std::fs::create_dir_all(folder.join("mails").join(class)).unwrap();
        std::fs::write(folder.join("mails").join(class).join(format!("{number}.txt")), &body).unwrap();
    }
    std::fs::write(folder.join("mails.csv"), table).unwrap();
    let mail = "From: ann@example.org\nTo: bob@example.org\nSubject: agenda\n\nLunch before the review?\n";
    std::fs::write(folder.join("new-mail.eml"), mail).unwrap();
    std::fs::create_dir_all(folder.join("inbox")).unwrap();
    std::fs::write(folder.join("inbox/1.txt"), "click for the free prize").unwrap();
}

/// Packs a folder of images into two shards as WebDataset does.
fn write_shards(images: &Path, shards: &Path) {
    std::fs::create_dir(shards).unwrap();
    for shard in 0..2 {
        let file = std::fs::File::create(shards.join(format!("photos-{shard:03}.tar"))).unwrap();
        let mut archive = tar::Builder::new(file);
        for class in ["blue", "green", "red"] {
            for number in 4 * shard..4 * (shard + 1) {
                let name = format!("{class}{number}");
                let image = images.join(format!("{class}/{number}.png"));
                archive.append_path_with_name(image, format!("{name}.png")).unwrap();
                let mut header = tar::Header::new_gnu();
                header.set_size(class.len() as u64);
                header.set_mode(0o644);
                archive.append_data(&mut header, format!("{name}.cls"), class.as_bytes()).unwrap();
            }
        }
        archive.finish().unwrap();
    }
}
