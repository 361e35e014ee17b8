use std::io::Write;

use cresset_bridge::script::{Module, Values};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::*;
use crate::train::Identity;
use crate::train::checkpoint;
use crate::train::checkpoint::Position;

/// Parts of pickles, as PyTorch writes them.
mod pickled {
    pub fn text(text: &str) -> Vec<u8> {
        [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    pub(crate) fn ints(numbers: &[i64]) -> Vec<u8> {
        let number = |number: &i64| [&b"\x8a\x08"[..], &number.to_le_bytes()].concat();
        [b"(".to_vec(), numbers.iter().flat_map(number).collect(), b"t".to_vec()].concat()
    }

    /// A tensor of a storage `key` with `count` values.
    pub fn tensor(class: &str, key: &str, count: i64, offset: i64, size: &[i64], stride: &[i64]) -> Vec<u8> {
        let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
        bytes.extend(text("storage"));
        bytes.extend(format!("ctorch\n{class}\n").into_bytes());
        bytes.extend([text(key), text("cpu")].concat());
        bytes.extend(format!("L{count}L\ntQL{offset}L\n").into_bytes());
        bytes.extend([ints(size), ints(stride)].concat());
        bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        bytes
    }

    pub fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let entries = entries.iter().flat_map(|(name, value)| [text(name), value.clone()].concat());
        [b"}(".to_vec(), entries.collect(), b"u".to_vec()].concat()
    }

    pub fn whole(value: &[u8]) -> Vec<u8> {
        [b"\x80\x02", value, b"."].concat()
    }
}

use pickled::{dictionary, tensor, whole as pickle};

const FLOATS: [f32; 6] = [0., 1., 2., 3., 4., 5.];

fn bytes() -> Vec<u8> {
    FLOATS.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn archive(parts: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn zipped(value: &[u8], storage: &[u8]) -> Vec<u8> {
    archive(&[("m/data.pkl", &pickle(value)), ("m/data/0", storage)], CompressionMethod::Stored)
}

fn legacy_file(value: &[u8], storage: &[u8]) -> Vec<u8> {
    let system = dictionary(&[("little_endian", b"\x88".to_vec())]);
    let keys = [b"](".to_vec(), pickled::text("0"), b"e".to_vec()].concat();
    let pickles = [&b"M\xe9\x03"[..], &system, value, &keys].map(pickle);
    let count = (storage.len() as i64 / 4).to_le_bytes();
    [legacy::MAGIC, &pickles.concat(), &count, storage].concat()
}

fn read_bytes(bytes: &[u8]) -> Result<Tensors> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

/// The error for these bytes, without the path.
fn problem(bytes: &[u8]) -> String {
    match read_bytes(bytes) {
        Err(Error::Artifact { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// The error for an archive with one tensor in a storage of six floats.
fn problem_of(class: &str, offset: i64, size: &[i64], stride: &[i64]) -> String {
    problem(&zipped(&dictionary(&[("w", tensor(class, "0", 6, offset, size, stride))]), &bytes()))
}

#[test]
fn views_of_one_storage_are_read_from_both_forms_of_file() {
    let value = dictionary(&[
        ("whole", tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1])),
        ("part", tensor("FloatStorage", "0", 6, 4, &[2], &[1])),
        ("turned", tensor("FloatStorage", "0", 6, 0, &[3, 2], &[1, 3])),
        ("scalar", tensor("FloatStorage", "0", 6, 5, &[], &[])),
        ("empty", tensor("FloatStorage", "0", 6, 6, &[0, 7], &[7, 1])),
    ]);
    let all = Tensor::from_slice(&FLOATS).view([2, 3]);
    for file in [zipped(&value, &bytes()), legacy_file(&value, &bytes())] {
        let read = read_bytes(&file).unwrap();
        assert_eq!(read.len(), 5);
        assert_eq!((&read["whole"], &read["turned"]), (&all, &all.tr()));
        assert_eq!(read["part"], Tensor::from_slice(&FLOATS[4..]));
        assert_eq!((read["scalar"].size(), read["scalar"].double_value(&[])), (vec![], 5.));
        assert_eq!(read["empty"].size(), [0, 7]);
    }
}

#[test]
fn other_values_are_ignored_and_names_are_joined() {
    let weight = || tensor("FloatStorage", "0", 6, 0, &[6], &[1]);
    let arguments = b"cargparse\nNamespace\n)\x81}U\x02lrG\0\0\0\0\0\0\0\0sb".to_vec();
    // A module as a whole, with a parameter, a submodule and a plain attribute.
    let parameter = [&b"ctorch._utils\n_rebuild_parameter\n("[..], &weight(), b"\x88NtR"].concat();
    let module = |parameters: &[(&str, Vec<u8>)], modules: &[(&str, Vec<u8>)]| {
        let state = dictionary(&[
            ("training", b"\x88".to_vec()),
            ("_parameters", dictionary(parameters)),
            ("_buffers", dictionary(&[])),
            ("_modules", dictionary(modules)),
            ("cache", weight()),
        ]);
        [&b"c__main__\nNet\n)\x81"[..], &state, b"b"].concat()
    };
    let net = module(&[], &[("fc", module(&[("weight", parameter)], &[]))]);
    let value = dictionary(&[
        ("args", arguments),
        ("epoch", b"K\x03".to_vec()),
        ("model", net),
        ("optimizer", dictionary(&[("moments", [&b"]("[..], &weight(), &weight(), b"e"].concat())])),
    ]);
    let read = read_bytes(&zipped(&value, &bytes())).unwrap();
    let names: Vec<_> = read.keys().collect();
    assert_eq!(names, ["model.fc.weight", "optimizer.moments.0", "optimizer.moments.1"]);
}

#[test]
fn a_module_that_libtorch_saved_is_read() {
    const SOURCE: &str = "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  \
                          training : bool\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return x\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pt");
    let weight = Tensor::from_slice(&FLOATS).view([3, 2]);
    let mut values = Values::new();
    values.put_tensor("w", &weight).unwrap();
    Module::from_source(SOURCE, "__torch__.M", &values).unwrap().save(&path, &[]).unwrap();
    assert_eq!(read(&path).unwrap(), Tensors::from([("w".to_string(), weight)]));
}

#[test]
fn only_the_weights_of_a_checkpoint_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let weights = Tensors::from([("fc.weight".to_string(), Tensor::from_slice(&FLOATS))]);
    let groups = [("", &weights), ("optimizer/", &weights)];
    checkpoint::save(&path, &groups, &Position::default(), &Identity::new()).unwrap();
    assert_eq!(read(&path).unwrap(), weights);
    // In a file of another program, the names are its own.
    let foreign = [("a/b".to_string(), &weights["fc.weight"])];
    safetensors::write(&path, &foreign, HashMap::new()).unwrap();
    assert_eq!(read(&path).unwrap().keys().collect::<Vec<_>>(), ["a/b"]);
}

#[test]
fn code_in_a_pickle_is_refused_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let program = format!("cos\nsystem\n(S'touch {}'\ntR", trace.display());
    let alone = format!("{program}.");
    assert!(problem(alone.as_bytes()).contains("neither safetensors nor a file of torch.save"));
    let refusal = "it contains no tensors: it is the result of a call of `os.system`, which is not executed";
    for file in [zipped(program.as_bytes(), &[]), legacy_file(program.as_bytes(), &[])] {
        assert_eq!(problem(&file), refusal);
    }
    // Next to a tensor it is ignored.
    let both =
        dictionary(&[("a", program.into_bytes()), ("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1]))]);
    assert_eq!(read_bytes(&zipped(&both, &bytes())).unwrap().keys().collect::<Vec<_>>(), ["w"]);
    assert!(!trace.exists());
}

#[test]
fn a_tensor_that_is_not_within_its_storage_is_refused_by_its_name() {
    const FLOAT: &str = "FloatStorage";
    let beyond = problem_of(FLOAT, 1, &[2, 3], &[3, 1]);
    assert_eq!(beyond, "the tensor `w`: it exceeds its storage (size [2, 3], stride [3, 1], offset 1)");
    assert!(problem_of(FLOAT, 6, &[1], &[1]).contains("exceeds its storage"));
    assert!(problem_of(FLOAT, 0, &[2], &[i64::MAX]).contains("exceeds its storage"));
    assert!(problem_of(FLOAT, -1, &[1], &[1]).contains("a value is negative"));
    assert!(problem_of(FLOAT, 0, &[-1], &[1]).contains("a value is negative"));
    assert!(problem_of(FLOAT, 3, &[2], &[-1]).contains("a value is negative"));
    assert!(problem_of(FLOAT, 0, &[1 << 40], &[0]).contains("repeats values of its storage"));
    assert!(problem_of(FLOAT, 0, &[3, 3], &[1, 1]).contains("repeats values of its storage"));
    assert!(problem_of(FLOAT, 0, &[1 << 40; 2], &[0; 2]).contains("too large"));
    assert!(problem_of(FLOAT, 0, &[0, 1 << 40, 1 << 40], &[1; 3]).contains("too large"));
    assert!(problem_of(FLOAT, 7, &[0], &[1]).contains("exceeds its storage"));
    assert!(problem_of(FLOAT, i64::MAX, &[2], &[i64::MAX]).contains("too large"));
    assert!(problem_of(FLOAT, 0, &[1; 65], &[1; 65]).contains("different or too many dimensions"));
    assert!(problem_of(FLOAT, 0, &[1], &[1, 1]).contains("different or too many dimensions"));
    assert!(
        problem_of("ComplexFloatStorage", 0, &[1], &[1])
            .contains("its dtype is not supported (torch.ComplexFloatStorage)")
    );
    assert!(problem_of("OddStorage", 0, &[1], &[1]).contains("has the unknown class `torch.OddStorage`"));
    // The file has fewer values than the pickle declares.
    assert!(problem_of("DoubleStorage", 0, &[1], &[1]).contains("should have 48 bytes, but has 24"));
    let sparse = dictionary(&[("w", b"ctorch._utils\n_rebuild_sparse_tensor\n)R".to_vec())]);
    assert!(problem(&zipped(&sparse, &[])).contains("not a dense tensor, but a sparse_tensor"));
}

#[test]
fn a_storage_of_two_sizes_is_refused() {
    let value = dictionary(&[
        ("a", tensor("FloatStorage", "0", 6, 0, &[6], &[1])),
        ("b", tensor("FloatStorage", "0", 600, 0, &[600], &[1])),
    ]);
    assert!(problem(&zipped(&value, &bytes())).contains("`0` has two sizes"));
    assert!(problem(&legacy_file(&value, &bytes())).contains("`0` has two sizes"));
}

#[test]
fn any_byte_makes_a_boolean() {
    let value = tensor("BoolStorage", "0", 3, 0, &[3], &[1]);
    let read = read_bytes(&zipped(&value, &[0, 1, 2])).unwrap();
    assert_eq!(read["tensor"], Tensor::from_slice(&[false, true, true]));
}

#[test]
fn files_that_grow_when_they_are_read_are_refused() {
    let zeros = vec![0; 4 << 20];
    let value = dictionary(&[("w", tensor("FloatStorage", "0", 1 << 20, 0, &[1 << 20], &[1]))]);
    let parts = [("m/data.pkl", &pickle(&value)[..]), ("m/data/0", &zeros[..])];
    assert!(
        problem(&archive(&parts, CompressionMethod::Deflated))
            .contains("uncompressed size is more than 16 times")
    );
    assert_eq!(read_bytes(&archive(&parts, CompressionMethod::Stored)).unwrap()["w"].numel(), 1 << 20);
    // Each list contains the one before it ten times.
    let mut laughs = tensor("FloatStorage", "0", 6, 0, &[6], &[1]);
    for _ in 0..30 {
        laughs = [&laughs[..], b"q\x010](", &b"h\x01".repeat(10), b"e"].concat();
    }
    let refused = problem(&zipped(&laughs, &bytes()));
    assert!(refused.contains("more than 65536 tensors"), "{refused}");
    // The same without a tensor, and a list that contains itself.
    let hollow = [&b"}"[..], &[&b"q\x010]("[..], &b"h\x01".repeat(10), b"e"].concat().repeat(30)].concat();
    assert!(problem(&zipped(&hollow, &[])).contains("refer to each other too often"));
    assert!(problem(&zipped(b"]q\0h\0a", &[])).contains("contains no tensors: it is a list"));
    let deep = [vec![b']'; 1000], vec![b'a'; 999]].concat();
    assert!(problem(&zipped(&deep, &[])).contains("nested more than 64 deep"));
}

#[test]
fn packed_archives_are_read_and_other_archives_are_named() {
    let value = pickle(&dictionary(&[("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1]))]));
    let parts = |order: &'static [u8]| {
        [("m/data.pkl", value.clone()), ("m/byteorder", order.to_vec()), ("m/data/0", bytes())]
    };
    let zip = |order, method| {
        let parts = parts(order);
        archive(&parts.each_ref().map(|(name, bytes)| (*name, &bytes[..])), method)
    };
    assert_eq!(
        read_bytes(&zip(b"little", CompressionMethod::Deflated)).unwrap()["w"],
        Tensor::from_slice(&FLOATS)
    );
    assert!(problem(&zip(b"big", CompressionMethod::Stored)).contains("big-endian"));
    let other = archive(&[("notes.txt", b"x")], CompressionMethod::Stored);
    assert!(problem(&other).contains("not one of torch.save"));
    let no_storage = archive(&[("m/data.pkl", &value)], CompressionMethod::Stored);
    assert!(problem(&no_storage).contains("the member `data/0` cannot be read: it is missing"));
    let no_tensors = pickle(&dictionary(&[("epoch", b"K\x03".to_vec()), ("args", b"N".to_vec())]));
    let no_tensors = archive(&[("m/data.pkl", &no_tensors)], CompressionMethod::Stored);
    assert_eq!(problem(&no_tensors), "it contains no tensors: it is a dictionary with `epoch`, `args`");
}

#[test]
fn no_cut_file_and_no_flipped_value_is_read() {
    let value = dictionary(&[("w", tensor("FloatStorage", "0", 6, 0, &[6], &[1]))]);
    for whole in [zipped(&value, &bytes()), legacy_file(&value, &bytes())] {
        assert!(read_bytes(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(read_bytes(&whole[..length]).is_err(), "cut to {length} of {} bytes", whole.len());
        }
    }
    let mut flipped = zipped(&value, &bytes());
    let at = flipped.windows(24).position(|window| window == bytes()).unwrap();
    flipped[at + 5] ^= 1;
    assert!(problem(&flipped).contains("`data/0` cannot be read"));
}

proptest! {
    #[test]
    fn no_bytes_make_any_reader_panic(
        bytes: Vec<u8>,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        offset: i64,
        size in prop::collection::vec(-1i64..=7, 0..4),
        stride in prop::collection::vec(-1i64..=7, 0..4),
        large: i64,
    ) {
        let value = dictionary(&[
            ("v", tensor("FloatStorage", "0", 6, 0, &[6], &[1])),
            ("w", tensor("FloatStorage", "0", 6, offset % 8, &size, &stride)),
        ]);
        let odd = tensor("FloatStorage", "0", large, offset, &[large, 2], &[1, large]);
        let values = super::tests::bytes();
        for file in [zipped(&value, &values), legacy_file(&value, &values), zipped(&odd, &values), legacy_file(&odd, &values)] {
            let _ = read_bytes(&file);
            let mut changed = file;
            for (at, byte) in &changes {
                let at = at.index(changed.len());
                changed[at] = *byte;
            }
            let _ = read_bytes(&changed);
        }
        // Bytes with the prefix of each format, and pickles of random bytes.
        let beginnings = [&b""[..], b"PK\x03\x04", legacy::MAGIC, b"\x10\0\0\0\0\0\0\0{"];
        for beginning in beginnings {
            let _ = read_bytes(&[beginning, &bytes].concat());
        }
        let _ = read_bytes(&zipped(&bytes, &[]));
    }

    #[test]
    fn a_view_has_the_values_of_its_strides(
        rows in 1i64..5,
        columns in 1i64..5,
        is_turned: bool,
        offset in 0i64..4,
    ) {
        let stride = if is_turned { [1, rows] } else { [columns, 1] };
        let count = offset + rows * columns;
        let value = tensor("LongStorage", "0", count, offset, &[rows, columns], &stride);
        let values: Vec<u8> = (0..count).flat_map(i64::to_le_bytes).collect();
        let read = read_bytes(&zipped(&value, &values)).unwrap();
        for row in 0..rows {
            for column in 0..columns {
                let expected = offset + row * stride[0] + column * stride[1];
                prop_assert_eq!(read["tensor"].int64_value(&[row, column]), expected);
            }
        }
        prop_assert_eq!((read["tensor"].kind(), read["tensor"].device()), (Kind::Int64, Device::Cpu));
    }
}
