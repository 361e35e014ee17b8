//! Feedback sets are read as written, also after crashes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn add(
    writer: &FeedbackWriter,
    id: &str,
    given: NewInput,
    class: &str,
    version: Option<String>,
) -> Correction {
    let fill = |input| Correction {
        id: id.to_string(),
        time: "2026-07-31T12:34:56Z".to_string(),
        input,
        answer: Answer { class: class.to_string(), probability: 0.25 },
        correction: class.chars().rev().collect(),
        model_sha256: "00".repeat(32),
        model_version: version,
    };
    writer.add(given, fill, id).unwrap().0
}

fn tear(folder: &Path, text: &[u8]) {
    let file = OpenOptions::new().append(true).create(true).open(folder.join(CORRECTIONS));
    file.unwrap().write_all(text).unwrap();
}

#[test]
fn an_incomplete_line_is_skipped_with_a_note_and_terminated_by_the_next_writer() {
    let folder = tempfile::tempdir().unwrap();
    let writer = FeedbackWriter::new(folder.path()).unwrap();
    let first = add(&writer, "a", NewInput::Values(&[1., f32::NAN]), "x", None);
    tear(folder.path(), b"{\"id\":\"torn");
    let set = read(folder.path()).unwrap();
    assert_eq!((set.corrections.len(), set.notes.len()), (1, 1));
    assert!(set.notes[0].contains("feedback.jsonl, line 2: skipped"), "{:?}", set.notes);

    let second = add(&FeedbackWriter::new(folder.path()).unwrap(), "b", NewInput::Values(&[2.]), "y", None);
    let set = read(folder.path()).unwrap();
    assert_eq!(set.corrections[0].id, first.id);
    assert_eq!((&set.corrections[1], set.notes.len()), (&second, 1));
}

#[test]
fn an_image_keeps_its_bytes_and_files_outside_the_set_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let set_folder = folder.path().join("below/feedback");
    let writer = FeedbackWriter::new(&set_folder).unwrap();
    add(&writer, "a", NewInput::Image(b"bytes", "png"), "x", None);
    let line = fs::read_to_string(set_folder.join(CORRECTIONS)).unwrap();
    let set = read(&set_folder).unwrap();
    let picture = set.corrections[0].input.image_path(&set_folder).unwrap();
    assert_eq!(
        (fs::read(&picture).unwrap(), picture.file_name().unwrap().to_str()),
        (b"bytes".to_vec(), Some("a.png"))
    );
    for elsewhere in ["../a.png", "/etc/passwd", "inputs/../../a.png", "inputs", "other/a.png"] {
        fs::write(set_folder.join(CORRECTIONS), line.replace("inputs/a.png", elsewhere)).unwrap();
        let set = read(&set_folder).unwrap();
        assert!(set.corrections.is_empty() && set.notes[0].contains("is not in"), "{elsewhere}");
    }
}

#[test]
fn threads_and_processes_that_share_a_set_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // One writer each, as for processes.
    let writers = [(); 4].map(|()| FeedbackWriter::new(folder.path()).unwrap());
    std::thread::scope(|scope| {
        for (number, writer) in writers.iter().enumerate() {
            scope.spawn(move || {
                for turn in 0..20 {
                    let values = vec![turn as f32; 500];
                    add(writer, &format!("{number}x{turn}"), NewInput::Values(&values), "x", None);
                }
            });
        }
    });
    let set = read(folder.path()).unwrap();
    assert_eq!((set.corrections.len(), set.notes.len()), (80, 0));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        rows in prop::collection::vec((prop::option::of(prop::collection::vec(any::<f32>(), 0..5)), ".{0,8}", any::<bool>()), 0..6),
        torn in prop::option::of("[^\n]{0,30}"),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let writer = FeedbackWriter::new(folder.path()).unwrap();
        let mut written = Vec::new();
        for (number, (values, class, has_version)) in rows.iter().enumerate() {
            // JSON has no infinity either, and inputs are finite.
            let values: Option<Vec<f32>> =
                values.as_ref().map(|values| values.iter().map(|v| if v.is_infinite() { f32::NAN } else { *v }).collect());
            let given = values.as_ref().map_or(NewInput::Image(class.as_bytes(), "jpg"), |values| NewInput::Values(values));
            written.push(add(&writer, &number.to_string(), given, class, has_version.then(|| class.clone())));
        }
        prop_assert_eq!(writer.count(), written.len() as u64);
        if let Some(torn) = &torn {
            tear(folder.path(), torn.as_bytes());
        }
        let set = read(folder.path()).unwrap();
        // NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", &set.corrections), format!("{:?}", written));
        prop_assert_eq!(set.notes.len(), usize::from(torn.is_some_and(|torn| !torn.trim_ascii().is_empty())));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CORRECTIONS), bytes).unwrap();
        let _ = read(folder.path());
    }
}
