//! Skipped files that are not images, counted by type.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::excerpt;
use crate::image::Kind;

/// The skipped files.
#[derive(Debug, Default)]
pub struct Skipped {
    /// The number of files and the first names, by type.
    kinds: BTreeMap<String, (usize, Vec<String>)>,
    /// The names of unsupported image types.
    foreign: Vec<&'static str>,
}

/// The maximum number of names per type, and of types, in a message.
const MAX_NAMES: usize = 3;
const MAX_KINDS: usize = 8;

impl Skipped {
    /// Counts a file of this type.
    pub fn add(&mut self, path: &Path, kind: Kind) {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let ending =
            extension.map_or("without an extension".to_string(), |end| format!(".{}", excerpt(&end)));
        let description = match kind {
            Kind::Foreign(foreign) => {
                if foreign.is_image && !self.foreign.contains(&foreign.name) {
                    self.foreign.push(foreign.name);
                }
                format!("{ending} ({})", foreign.name)
            }
            _ => ending,
        };
        let (count, names) = self.kinds.entry(description).or_default();
        *count += 1;
        if names.len() < MAX_NAMES {
            names.push(excerpt(&path.file_name().unwrap_or_default().to_string_lossy()));
        }
    }

    /// The message, if any file was skipped.
    pub fn sentence(&self) -> Option<String> {
        let total: usize = self.kinds.values().map(|(count, _)| count).sum();
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let of_kind = |(kind, (count, names)): (&String, &(usize, Vec<String>))| {
            let more = if *count > names.len() { ", …" } else { "" };
            format!("{count} {kind}: {}{more}", names.join(", "))
        };
        let shown: Vec<_> =
            kinds.iter().take(MAX_KINDS).map(|(kind, found)| of_kind((kind, found))).collect();
        let more = if kinds.len() > MAX_KINDS { "; …" } else { "" };
        let remedy = match self.foreign[..] {
            [] => "",
            _ => "; convert unsupported images to JPEG or PNG",
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
        let message = skipped.sentence().unwrap();
        assert_eq!(
            message,
            "skipped 6 files that are not images (4 .txt: a.txt, b.txt, c.TXT, …; 1 .heic (a HEIC image): IMG_1.heic; \
             1 without an extension: noext); convert unsupported images to JPEG or PNG"
        );
    }
}
