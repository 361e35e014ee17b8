//! Checksums and extra files of a model file, read without libtorch. libtorch ignores the checksums, so a damaged weight would
//! only show in wrong predictions, and it runs code before it returns an extra file.

use std::io::{Read, Seek, sink};

use super::archive::{MOST_TEXT, open as open_archive};

/// The name of the first member of a zip archive with a wrong checksum.
///
/// A file that is not an archive passes: libtorch reports it.
pub(crate) fn damaged_member(file: impl Read + Seek) -> Option<String> {
    let mut archive = open_archive(file).ok()?;
    (0..archive.len()).find(|index| !is_whole(&mut archive, *index)).map(|index| {
        let name = archive.name_for_index(index).and_then(Result::ok);
        name.map_or_else(|| format!("member {}", index + 1), |name| name.into_owned())
    })
}

/// The text of the extra file `name` of a TorchScript archive, without running code. The inner `None` means that there is no
/// such file, the outer one that this is not a TorchScript archive.
pub(crate) fn extra_file(file: impl Read + Seek, name: &str) -> Option<Option<String>> {
    let mut archive = open_archive(file).ok()?;
    let ending = format!("/extra/{name}");
    let members: Vec<_> =
        archive.file_names().filter_map(|name| name.ok().map(|name| name.into_owned())).collect();
    match members.iter().find(|member| member.ends_with(&ending)) {
        Some(member) => {
            let mut bytes = Vec::new();
            archive.by_name(member).ok()?.take(MOST_TEXT).read_to_end(&mut bytes).ok()?;
            Some(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        // Every saved module has the first, or in an old format the second. libtorch loads no file without one of them.
        None => {
            let is_of_module = |member: &String| {
                ["/constants.pkl", "/model.json"].iter().any(|ending| member.ends_with(ending))
            };
            members.iter().any(is_of_module).then_some(None)
        }
    }
}

/// Whether the checksum and the declared size of a member are right. Reading to the end compares the checksum.
fn is_whole(archive: &mut zip::ZipArchive<impl Read + Seek>, index: usize) -> bool {
    archive.by_index(index).is_ok_and(|mut member| {
        let size = member.size();
        std::io::copy(&mut member, &mut sink()).is_ok_and(|read| read == size)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use cresset_bridge::script::{Module, Values};
    use proptest::prelude::*;
    use tch::Tensor;

    fn model() -> Vec<u8> {
        named("m.pt")
    }

    fn named(name: &str) -> Vec<u8> {
        const SOURCE: &str = "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  \
                              training : bool\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return x\n";
        let mut values = Values::new();
        values.put_tensor("w", &Tensor::from_slice(&[0x5EED_F00D_i64; 100])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let module = Module::from_source(SOURCE, "__torch__.M", &values).unwrap();
        module.save(&path, &[("notes.txt", "some notes")]).unwrap();
        std::fs::read(&path).unwrap()
    }

    fn flipped_at(file: &[u8], part: &[u8]) -> Option<String> {
        let mut file = file.to_vec();
        let at = file.windows(part.len()).position(|window| window == part).expect("the part is in the file");
        file[at] ^= 1;
        damaged_member(Cursor::new(file))
    }

    #[test]
    fn a_flipped_bit_in_a_weight_or_an_extra_file_is_found() {
        let model = model();
        assert_eq!(damaged_member(Cursor::new(&model)), None);
        let weight = 0x5EED_F00D_i64.to_le_bytes();
        assert!(flipped_at(&model, &weight).is_some_and(|name| name.contains("data")), "the weights");
        assert_eq!(flipped_at(&model, b"some notes").as_deref(), Some("m/extra/notes.txt"));
    }

    #[test]
    fn an_extra_file_is_read_without_loading_the_model() {
        let model = model();
        let found = |file: &[u8], name| extra_file(Cursor::new(file), name);
        assert_eq!(found(&model, "notes.txt"), Some(Some("some notes".to_string())));
        assert_eq!(found(&model, "absent.txt"), Some(None));
        assert_eq!(found(b"no archive", "notes.txt"), None);
    }

    /// libtorch writes the name into the archive, and with it the lengths of its entries.
    #[test]
    fn a_file_of_any_name_is_checked() {
        for length in 1..40 {
            let model = named(&format!("{}.pt", "m".repeat(length)));
            assert_eq!(damaged_member(Cursor::new(&model)), None);
            assert!(flipped_at(&model, b"some notes").is_some(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_check_panic(bytes: Vec<u8>, length in 0usize..4000, at in 0usize..4000, byte: u8) {
            let _ = damaged_member(Cursor::new(bytes));
            let mut file = model();
            let place = file.len() - 1 - at.min(file.len() - 1);
            file[place] = byte;
            let _ = damaged_member(Cursor::new(&file));
            let _ = extra_file(Cursor::new(&file), "notes.txt");
            let _ = damaged_member(Cursor::new(&file[length.min(file.len())..]));
        }
    }
}
