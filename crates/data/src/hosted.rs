//! Data sets that are known by name and downloaded from where they are published.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::error::{Error, Result};

/// A published data set.
#[derive(Debug)]
pub struct HostedDataset {
    /// The name, as an argument of `--data`.
    pub name: &'static str,
    /// The examples, in a line.
    pub summary: &'static str,
    /// The license, or that none is stated.
    pub license: &'static str,
    /// The URL of the folder with the files.
    pub url: &'static str,
    /// The files.
    pub files: &'static [HostedFile],
}

/// A file of a published data set.
#[derive(Debug)]
pub struct HostedFile {
    /// The name.
    pub name: &'static str,
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 as hexadecimal digits.
    pub sha256: &'static str,
}

/// All published data sets. Sizes and checksums are those of TensorFlow Datasets 4.9.10.
pub const HOSTED: &[HostedDataset] = &[
    HostedDataset {
        // Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits", 1998.
        name: "mnist",
        summary: "70,000 handwritten digits, 28×28, grayscale",
        license: "CC BY-SA 3.0",
        url: "https://storage.googleapis.com/cvdf-datasets/mnist",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
    },
    HostedDataset {
        // H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
        // Algorithms", 2017.
        name: "fashion-mnist",
        summary: "70,000 pictures of clothes, 28×28, grayscale, 10 classes",
        license: "MIT",
        url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
    },
    HostedDataset {
        // T. Clanuwat et al., "Deep Learning for Classical Japanese Literature", 2018.
        name: "kmnist",
        summary: "70,000 cursive Japanese characters, 28×28, grayscale, 10 classes",
        license: "CC BY-SA 4.0",
        url: "http://codh.rois.ac.jp/kmnist/dataset/kmnist",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                18_165_135,
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                29_497,
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                3_041_136,
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                5_120,
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ],
    },
    HostedDataset {
        // A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
        name: "cifar10",
        summary: "60,000 photographs, 32×32, color, 10 classes",
        license: "not stated",
        url: "https://www.cs.toronto.edu/~kriz",
        files: &[file(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )],
    },
    HostedDataset {
        name: "cifar100",
        summary: "60,000 photographs, 32×32, color, 100 classes",
        license: "not stated",
        url: "https://www.cs.toronto.edu/~kriz",
        files: &[file(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )],
    },
];

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> HostedFile {
    HostedFile { name, bytes, sha256 }
}

/// The ending of an archive, whose files are unpacked.
const ARCHIVE: &str = ".tar.gz";

impl HostedDataset {
    /// The data set that `--data` means by `source`: the one of this name, unless there is a file or folder of the name.
    pub fn of(source: &str) -> Option<&'static HostedDataset> {
        HOSTED.iter().find(|dataset| dataset.name == source && !Path::new(source).exists())
    }

    /// The folder of the downloaded data set: `cresset/datasets/NAME` in `XDG_CACHE_HOME` or `~/.cache`. It exists if the
    /// download is complete. None if neither variable is set.
    pub fn folder(&self) -> Option<PathBuf> {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        Some(cache?.join("cresset/datasets").join(self.name))
    }

    /// The folder of the downloaded data set.
    ///
    /// # Errors
    /// If it has not been downloaded.
    pub fn downloaded(&self) -> Result<PathBuf> {
        self.folder().filter(|folder| folder.is_dir()).ok_or_else(|| {
            let problem = format!(
                "the data set is not downloaded; `cresset data audit {}` downloads it, or pass the path of a folder with its files",
                self.name
            );
            Error::data(Path::new(self.name), problem)
        })
    }

    /// Replaces the archives in a folder by the files in them, without their folders.
    ///
    /// # Errors
    /// An archive that cannot be read, and files that cannot be written.
    pub fn unpack(&self, folder: &Path) -> Result<()> {
        for file in self.files.iter().filter(|file| file.name.ends_with(ARCHIVE)) {
            let path = folder.join(file.name);
            let archive = File::open(&path).map_err(Error::io("read", &path))?;
            let mut archive = tar::Archive::new(GzDecoder::new(archive));
            for entry in archive.entries().map_err(Error::io("read", &path))? {
                let mut entry = entry.map_err(Error::io("read", &path))?;
                let name = entry.path().ok().and_then(|name| Some(name.file_name()?.to_owned()));
                let Some(name) = name.filter(|_| entry.header().entry_type().is_file()) else { continue };
                let target = folder.join(name);
                let mut out = File::create(&target).map_err(Error::io("write", &target))?;
                io::copy(&mut entry, &mut out).map_err(Error::io("write", &target))?;
            }
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    #[test]
    fn names_and_checksums_are_well_formed() {
        for dataset in HOSTED {
            assert!(crate::builtin::DATASETS.iter().all(|other| other.name != dataset.name));
            for file in dataset.files {
                let is_hexadecimal = file.sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
                assert!(file.sha256.len() == 64 && is_hexadecimal, "{}", file.name);
            }
        }
        assert_eq!(HostedDataset::of("mnist").unwrap().files.len(), 4);
        assert!(HostedDataset::of("mnists").is_none());
    }

    #[test]
    fn an_archive_is_replaced_by_its_files_and_cannot_write_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let dataset = HostedDataset::of("cifar10").unwrap();
        let path = inside.join(dataset.files[0].name);
        let mut archive =
            tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        for name in ["cifar-10-batches-bin/test_batch.bin", "x/../../outside.bin"] {
            let mut header = tar::Header::new_gnu();
            // The library refuses to write such a path itself.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(3);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            archive.append(&header, &b"abc"[..]).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        dataset.unpack(&inside).unwrap();
        assert_eq!(fs::read(inside.join("test_batch.bin")).unwrap(), b"abc");
        assert!(inside.join("outside.bin").exists() && !folder.path().join("outside.bin").exists());
        assert!(!path.exists());
    }
}
