//! Weights and networks.

use std::fs;

use super::no_files;
use crate::{
    files::{View, checkpoint, floats, safetensors, state_dict, vector, vectors, zip},
    loaders,
    table::{Case, Section, all_refused, file, read, refused},
};
use zip::CompressionMethod::{Deflated, Stored};

pub(super) fn sections() -> Vec<Section> {
    vec![
        Section {
            title: "Weights of `torch.save`",
            load: loaders::weights,
            limit: 512,
            cases: no_files("ours.pth").into_iter().chain(pth()).collect(),
        },
        Section {
            title: "Weights in `.safetensors`",
            load: loaders::weights,
            limit: 128,
            cases: no_files("ours.safetensors").into_iter().chain(tensors()).collect(),
        },
        Section {
            title: "Networks in ONNX files",
            load: loaders::onnx,
            limit: 256,
            cases: no_files("model.onnx").into_iter().chain(onnx()).collect(),
        },
    ]
}

/// A checkpoint of one view of a storage of six numbers.
fn viewed(view: View<'_>) -> Vec<u8> {
    checkpoint(&state_dict(&[view]), &[("0", &floats(6))])
}

/// A checkpoint of a pickle that is no state dict.
fn pickled(pickle: &[u8]) -> Vec<u8> {
    checkpoint(pickle, &[])
}

#[expect(clippy::too_many_lines, reason = "a list of files")]
fn pth() -> Vec<Case> {
    let name = "ours.pth";
    vec![
        read("a state dict, honestly saved", file(name, || viewed(View::default()))),
        read(
            "code in a ZIP archive's pickle: `os.mkdir`",
            file(name, || vector("cam-models/hostile-zip.pth")),
        ),
        read(
            "code in a pickle of the old format: `os.mkdir`",
            file(name, || vector("cam-models/hostile-legacy.pth")),
        ),
        refused(
            "code instead of a state dict: `os.system`",
            file(name, || pickled(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.")),
        ),
        refused(
            "a ZIP bomb: a pickle of 100 MiB, compressed a thousandfold",
            file(name, || {
                let mut pickle = vec![b'N'; 100 << 20];
                pickle.extend(b".");
                zip(Deflated, &[("archive/data.pkl", &pickle)])
            }),
        ),
        refused(
            "a storage of 100 MiB, compressed a thousandfold",
            file(name, || {
                let pickle = state_dict(&[View { numbers: 25 << 20, ..View::default() }]);
                let storage = vec![0; 100 << 20];
                zip(Deflated, &[("archive/data.pkl", &pickle), ("archive/data/0", &storage)])
            }),
        ),
        refused(
            "an archive in which the pickle claims to be of 4 GiB",
            file(name, || {
                let mut bytes = viewed(View::default());
                // Sizes of the first entry, in its own header and in the directory.
                let at = bytes.windows(4).position(|magic| magic == b"PK\x01\x02").unwrap();
                for size in [18, 22, at + 20, at + 24] {
                    bytes[size..size + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
                }
                bytes
            }),
        ),
        refused(
            "a pickle of 10 million objects that are left lying",
            file(name, || pickled(&[&vec![b'N'; 10_000_000][..], b"."].concat())),
        ),
        refused(
            "1.9 million objects that are left lying",
            file(name, || pickled(&[&vec![b'N'; 1_900_000][..], b"."].concat())),
        ),
        refused(
            "a pickle of the old format, of 10 million objects",
            file(name, || {
                let legacy = vector("cam-models/tiny-legacy.pth");
                // Behind the magic number, in place of what follows.
                [&legacy[..15], &vec![b'N'; 10_000_000], b"."].concat()
            }),
        ),
        refused(
            "lists in lists, 100,000 deep",
            file(name, || {
                let (open, close) = (vec![b']'; 100_000], vec![b'a'; 99_999]);
                pickled(&[&b"\x80\x02"[..], &open, &close, b"."].concat())
            }),
        ),
        refused(
            "a list that holds the one before it twice, 64 times over",
            file(name, || {
                let mut pickle = b"\x80\x02]q\x00".to_vec();
                for last in 0..64_u8 {
                    pickle.extend([b']', b'q', last + 1, b'(', b'h', last, b'h', last, b'e']);
                }
                pickle.push(b'.');
                pickled(&pickle)
            }),
        ),
        refused(
            "a text that claims to be of 4 GiB",
            file(name, || pickled(b"\x80\x02X\xff\xff\xff\xffabc.")),
        ),
        refused("a stack that is empty", file(name, || pickled(b"\x80\x02}u."))),
        refused("a memo that is empty", file(name, || pickled(b"\x80\x02h\x07."))),
        refused(
            "no pickle in the archive",
            file(name, || zip(Stored, &[("archive/version", b"3")])),
        ),
        refused(
            "big-endian numbers",
            file(name, || {
                let pickle = state_dict(&[View::default()]);
                let entries: [(&str, &[u8]); 3] = [
                    ("archive/data.pkl", &pickle),
                    ("archive/byteorder", b"big"),
                    ("archive/data/0", &floats(6)),
                ];
                zip(Stored, &entries)
            }),
        ),
        refused(
            "a TAR archive",
            file(name, || {
                let mut tar = vec![0; 1024];
                tar[..7].copy_from_slice(b"pickle\0");
                tar[257..262].copy_from_slice(b"ustar");
                tar
            }),
        ),
        read(
            "two tensors in one storage, overlapping",
            file(name, || {
                let views = [
                    View { name: "a", shape: &[4], stride: &[1], ..View::default() },
                    View { name: "b", shape: &[4], stride: &[1], offset: 2, ..View::default() },
                ];
                checkpoint(&state_dict(&views), &[("0", &floats(6))])
            }),
        ),
        refused(
            "a tensor that goes on behind its storage",
            file(name, || viewed(View { offset: 1, ..View::default() })),
        ),
        refused(
            "a storage that is shorter than it claims",
            file(name, || viewed(View { numbers: 60, shape: &[20, 3], ..View::default() })),
        ),
        refused(
            "a storage that is not there",
            file(name, || checkpoint(&state_dict(&[View::default()]), &[])),
        ),
        refused(
            "a shape of more numbers than there are",
            file(name, || {
                viewed(View { shape: &[1 << 62, 4], stride: &[0, 0], ..View::default() })
            }),
        ),
        refused(
            "a billion views of one number",
            file(name, || {
                viewed(View { shape: &[1_000_000_000], stride: &[0], ..View::default() })
            }),
        ),
        refused("a side of -1", file(name, || viewed(View { shape: &[-1, 3], ..View::default() }))),
        refused(
            "a stride of -3",
            file(name, || viewed(View { stride: &[-3, 1], ..View::default() })),
        ),
        refused("an offset of -1", file(name, || viewed(View { offset: -1, ..View::default() }))),
        refused(
            "fewer strides than sides",
            file(name, || viewed(View { stride: &[1], ..View::default() })),
        ),
        refused(
            "whole numbers",
            file(name, || viewed(View { storage: ["IntStorage", "0"], ..View::default() })),
        ),
        refused(
            "complex numbers",
            file(name, || {
                viewed(View { storage: ["ComplexFloatStorage", "0"], ..View::default() })
            }),
        ),
        refused(
            "a storage's key that climbs out of the archive",
            file(name, || viewed(View { storage: ["FloatStorage", "../../0"], ..View::default() })),
        ),
        refused("a number that is not finite", file(name, || vector("cam-models/tiny-nan.pth"))),
        refused(
            "a bit changed in a storage",
            file(name, || {
                let mut bytes = viewed(View::default());
                let at = bytes.windows(4).position(|number| number == 5_f32.to_le_bytes()).unwrap();
                bytes[at] ^= 1;
                bytes
            }),
        ),
        all_refused("80 kB of weights, cut off at every 4 KiB", |folder| {
            let pickle = state_dict(&[View {
                numbers: 20_000,
                shape: &[200, 100],
                stride: &[100, 1],
                ..View::default()
            }]);
            let whole = checkpoint(&pickle, &[("0", &floats(20_000))]);
            let cut = |length: usize| {
                let path = folder.join(format!("{length}.pth"));
                fs::write(&path, &whole[..length]).unwrap();
                path
            };
            (0..whole.len()).step_by(4096).map(cut).collect()
        }),
        all_refused("each of `tiny-legacy.pth`'s first bytes without the rest", |folder| {
            let whole = vector("cam-models/tiny-legacy.pth");
            let cut = |length: usize| {
                let path = folder.join(format!("{length}.pth"));
                fs::write(&path, &whole[..length]).unwrap();
                path
            };
            (0..whole.len()).step_by(16).map(cut).collect()
        }),
    ]
}

fn tensors() -> Vec<Case> {
    let of = |header: &'static str, n: usize| {
        file("ours.safetensors", move || safetensors(header, &floats(n)))
    };
    let name = "ours.safetensors";
    vec![
        read(
            "two tensors, honestly saved",
            of(
                r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F16","shape":[2],"data_offsets":[24,28]}}"#,
                7,
            ),
        ),
        refused("a header of 2⁶⁴ - 1 bytes", file(name, || u64::MAX.to_le_bytes().to_vec())),
        refused(
            "a header that is longer than the file",
            file(name, || [&99_u64.to_le_bytes()[..], b"{}"].concat()),
        ),
        refused(
            "a header of 64 MiB of spaces",
            file(name, || safetensors(&format!("{{{}}}", " ".repeat(64 << 20)), &[])),
        ),
        refused("a header that is no JSON", of("{'a': 1}", 0)),
        refused(
            "a header of lists, 100,000 deep",
            file(name, || safetensors(&format!("{{\"a\":{}", "[".repeat(100_000)), &[])),
        ),
        refused(
            "data behind the end of the file",
            of(r#"{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}"#, 7),
        ),
        refused(
            "data that end before they begin",
            of(r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[28,0]}}"#, 7),
        ),
        refused(
            "a tensor in another one's place",
            of(
                r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}"#,
                6,
            ),
        ),
        refused(
            "a gap between two tensors",
            of(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
                3,
            ),
        ),
        refused(
            "bytes that no tensor has",
            of(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3),
        ),
        refused(
            "one name twice",
            of(
                r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"a":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#,
                6,
            ),
        ),
        refused(
            "a shape of more numbers than there are",
            of(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#, 4),
        ),
        refused(
            "a shape of other numbers than the data",
            of(r#"{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}"#, 4),
        ),
        refused(
            "a side of -1",
            of(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 1),
        ),
        refused(
            "whole numbers",
            of(r#"{"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}}"#, 4),
        ),
        refused(
            "a type that is none",
            of(r#"{"a":{"dtype":"F33","shape":[4],"data_offsets":[0,16]}}"#, 4),
        ),
        refused(
            "a number that is not finite",
            file(name, || {
                let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
                safetensors(header, &f32::NAN.to_le_bytes())
            }),
        ),
        refused(
            "a checkpoint of `torch.save` under another extension",
            file(name, || viewed(View::default())),
        ),
        all_refused("each of `tiny.safetensors`' first bytes without the rest", |folder| {
            let whole = vector("cam-models/tiny.safetensors");
            let cut = |length: usize| {
                let path = folder.join(format!("{length}.safetensors"));
                fs::write(&path, &whole[..length]).unwrap();
                path
            };
            (0..whole.len()).map(cut).collect()
        }),
    ]
}

/// The files that `crates/cam-onnx/tests/vectors/make.py` makes, and a few more.
fn onnx() -> Vec<Case> {
    let entries = fs::read_dir(vectors("cam-onnx/hostile")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    let of_vector = |path: std::path::PathBuf| {
        let stem = path.file_stem().unwrap().to_string_lossy().replace('_', " ");
        // Where it lies: some have data in files beside them.
        refused(&stem, move |folder| {
            let beside = path.parent().unwrap();
            for entry in fs::read_dir(beside).unwrap().map(Result::unwrap) {
                if entry.path().is_file() && entry.path().extension() != path.extension() {
                    fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
                }
            }
            let copy = folder.join(path.file_name().unwrap());
            fs::copy(&path, &copy).unwrap();
            copy
        })
    };
    let mut cases = vec![
        read(
            "a residual network, honestly exported",
            file("model.onnx", || vector("cam-onnx/networks/residual.onnx")),
        ),
        all_refused("the same, cut off at every sixtieth of it", |folder| {
            let whole = vector("cam-onnx/networks/residual.onnx");
            let cut = |length: usize| {
                let path = folder.join(format!("{length}.onnx"));
                fs::write(&path, &whole[..length]).unwrap();
                path
            };
            (0..whole.len()).step_by(whole.len() / 60).map(cut).collect()
        }),
    ];
    cases.extend(files.into_iter().map(of_vector));
    cases
}
