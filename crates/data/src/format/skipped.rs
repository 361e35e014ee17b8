//! Files among images that are none, counted by kind to be named in a line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::excerpt;
use crate::image::Kind;

/// What was skipped.
#[derive(Debug, Default)]
pub struct Skipped {
    /// Of each kind how many, and the names of the first.
    kinds: BTreeMap<String, (usize, Vec<String>)>,
    /// Kinds of images that are not supported, by their names.
    foreign: Vec<&'static str>,
}

/// The names and the kinds that are shown.
const NAMES: usize = 3;
const KINDS: usize = 8;

impl Skipped {
    /// Counts a file, of this kind.
    pub fn add(&mut self, path: &Path, kind: Kind) {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let ending =
            extension.map_or("without an extension".to_string(), |end| format!(".{}", excerpt(&end)));
        let own = match kind {
            Kind::Foreign(foreign) => {
                if foreign.is_image && !self.foreign.contains(&foreign.name) {
                    self.foreign.push(foreign.name);
                }
                format!("{ending} ({})", foreign.name)
            }
            _ => ending,
        };
        let (count, names) = self.kinds.entry(own).or_default();
        *count += 1;
        if names.len() < NAMES {
            names.push(excerpt(&path.file_name().unwrap_or_default().to_string_lossy()));
        }
    }

    /// The sentence, if anything was skipped.
    pub fn sentence(&self) -> Option<String> {
        let total: usize = self.kinds.values().map(|(count, _)| count).sum();
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let of_kind = |(kind, (count, names)): (&String, &(usize, Vec<String>))| {
            let more = if *count > names.len() { ", …" } else { "" };
            format!("{count} {kind}: {}{more}", names.join(", "))
        };
        let shown: Vec<_> = kinds.iter().take(KINDS).map(|(kind, found)| of_kind((kind, found))).collect();
        let more = if kinds.len() > KINDS { "; …" } else { "" };
        let remedy = match self.foreign[..] {
            [] => "",
            _ => " — images of kinds that are not supported can be converted to JPEG or PNG",
        };
        let files = if total == 1 { "1 file that is not an image" } else { "files that are not images" };
        let files = if total == 1 { files.to_string() } else { format!("{total} {files}") };
        (total > 0).then(|| format!("skipped {files} ({}{more}){remedy}", shown.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Foreign;

    #[test]
    fn kinds_are_counted_and_the_first_names_shown() {
        let mut skipped = Skipped::default();
        assert_eq!(skipped.sentence(), None);
        for name in ["a.txt", "b.txt", "c.TXT", "d.txt"] {
            skipped.add(Path::new(name), Kind::Beside);
        }
        skipped
            .add(Path::new("x/IMG_1.heic"), Kind::Foreign(Foreign { name: "a HEIC image", is_image: true }));
        skipped.add(Path::new("noext"), Kind::Unknown);
        let said = skipped.sentence().unwrap();
        assert_eq!(
            said,
            "skipped 6 files that are not images (4 .txt: a.txt, b.txt, c.TXT, …; 1 .heic (a HEIC image): IMG_1.heic; \
             1 without an extension: noext) — images of kinds that are not supported can be converted to JPEG or PNG"
        );
    }
}
