//! Files of every format, honest ones and such as claim what they do not hold.

use std::{
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
};

use cam_results::{Picture, RunManifest, ShardPlan, Store, synthetic};
use flate2::{Compression, write::ZlibEncoder};
use serde_json::{Value, json};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A file of another crate's test vectors.
pub(crate) fn vector(path: &str) -> Vec<u8> {
    fs::read(vectors(path)).unwrap()
}

/// The same, by its path.
pub(crate) fn vectors(path: &str) -> PathBuf {
    let (crate_, file) = path.split_once('/').unwrap();
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(crate_).join("tests/vectors").join(file)
}

/// A ZIP archive.
pub(crate) fn zip(method: CompressionMethod, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tensor as a pickle of `torch.save` describes it: a view of a storage of numbers.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) name: &'a str,
    /// A storage's class, such as `FloatStorage`, and its key.
    pub(crate) storage: [&'a str; 2],
    /// How many numbers the storage is said to have.
    pub(crate) numbers: i64,
    pub(crate) offset: i64,
    pub(crate) shape: &'a [i64],
    pub(crate) stride: &'a [i64],
}

impl Default for View<'_> {
    /// Two by three numbers.
    fn default() -> Self {
        Self {
            name: "fc.weight",
            storage: ["FloatStorage", "0"],
            numbers: 6,
            offset: 0,
            shape: &[2, 3],
            stride: &[3, 1],
        }
    }
}

/// The pickle of a state dict, by protocol 2.
pub(crate) fn state_dict(views: &[View<'_>]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    for view in views {
        text(&mut pickle, view.name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(format!("ctorch\n{}\n", view.storage[0]).bytes());
        text(&mut pickle, view.storage[1]);
        text(&mut pickle, "cpu");
        whole(&mut pickle, view.numbers);
        pickle.extend(b"tQ");
        whole(&mut pickle, view.offset);
        for sides in [view.shape, view.stride] {
            pickle.push(b'(');
            for side in sides {
                whole(&mut pickle, *side);
            }
            pickle.push(b't');
        }
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    pickle
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

fn whole(pickle: &mut Vec<u8>, number: i64) {
    pickle.extend([0x8a, 8]);
    pickle.extend(number.to_le_bytes());
}

/// What `torch.save` writes, around a pickle and the bytes of storages by their keys.
pub(crate) fn checkpoint(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> =
        storages.iter().map(|(key, _)| format!("archive/data/{key}")).collect();
    let mut entries: Vec<(&str, &[u8])> =
        vec![("archive/data.pkl", pickle), ("archive/version", b"3\n")];
    entries.extend(names.iter().zip(storages).map(|(name, (_, bytes))| (name.as_str(), *bytes)));
    zip(CompressionMethod::Stored, &entries)
}

/// 32-bit floats: 0, 1, 2 and so on.
pub(crate) fn floats(n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// A `.safetensors` file of a header, with its right length, and what follows.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A `.npy` file of version 1.
pub(crate) fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

pub(crate) fn npy_header(descr: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}\n")
}

/// A PNG file of these chunks, with right lengths and checksums.
pub(crate) fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        let content = [&kind[..], data].concat();
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&content);
        png.extend(crc32fast::hash(&content).to_be_bytes());
    }
    png
}

/// The chunks of a PNG file, as far as they are there; their checksums may be wrong.
pub(crate) fn chunks(png: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut chunks = vec![];
    let mut rest = png.get(8..).unwrap_or_default();
    while let Some((length, kind, behind)) = rest
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.split_first_chunk::<4>().map(|(kind, b)| (length, kind, b)))
    {
        let length = (u32::from_be_bytes(*length) as usize).min(behind.len());
        chunks.push((*kind, behind[..length].to_vec()));
        rest = behind.get(length + 4..).unwrap_or_default();
    }
    chunks
}

/// The first chunk of a PNG: its size, bits a sample, and type of colors (0 gray, 2 RGB, 3 palette).
pub(crate) fn ihdr(width: u32, height: u32, bits: u8, colors: u8) -> Vec<u8> {
    [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colors, 0, 0, 0]].concat()
}

/// Zeros, compressed as zlib does: a thousandth of them.
pub(crate) fn deflated_zeros(n: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::best());
    let block = vec![0; 1 << 16];
    for start in (0..n).step_by(block.len()) {
        encoder.write_all(&block[..block.len().min(n - start)]).unwrap();
    }
    encoder.finish().unwrap()
}

/// A small photograph.
pub(crate) fn photograph() -> Vec<u8> {
    let rgb = (0..64 * 48 * 3_u32).map(|i| (i * i % 251) as u8).collect();
    Picture::new(64, 48, rgb).png()
}

/// A JPEG whose frame claims to be of this size, in color where it is progressive.
pub(crate) fn jpeg_of(width: u16, height: u16, is_progressive: bool) -> Vec<u8> {
    let name = if is_progressive { "jpeg-420-progressive" } else { "jpeg-gray" };
    let mut jpeg = vector(&format!("cam-data/images/{name}.jpg"));
    let frame = [0xff, if is_progressive { 0xc2 } else { 0xc0 }];
    let frame = jpeg.windows(2).position(|marker| marker == frame).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// A run of three images and two methods in a folder: finished, or with its last row missing.
pub(crate) fn run(folder: &Path, is_finished: bool) -> PathBuf {
    let (manifest, rows) = synthetic(3, 2);
    let rows: Vec<_> = rows.collect();
    let mut store = Store::create_or_continue(folder, manifest).unwrap();
    store.append_all(&rows[..rows.len() - usize::from(!is_finished)]).unwrap();
    if is_finished {
        store.finish("2026-01-02T03:04:05Z").unwrap();
    }
    folder.to_owned()
}

/// An unfinished run that is cut into shards, one of which is committed, where there is none yet.
pub(crate) fn cut_run(folder: &Path) -> PathBuf {
    let path = folder.join("run");
    if !path.exists() {
        run(&path, false);
        let manifest = manifest();
        let plan = ShardPlan::cut(&manifest, 2, Path::new("."), |_, _| "main".into());
        let plan = plan.create_or_read(&path, &manifest).unwrap();
        let maker = json!({ "plan": plan.id(), "shard": 0, "device": "cpu", "host": "here" });
        let mut part = journal_line("maker", maker.to_string().as_bytes());
        for row in journal_rows(&fs::read(path.join("journal.jsonl")).unwrap()).iter().take(4) {
            part.extend(journal_line("row", row));
        }
        fs::write(path.join("shards/parts/000000.jsonl"), part).unwrap();
    }
    path
}

/// Changes a run's manifest.
pub(crate) fn edit_manifest(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// Forgets the hashes of a run's tables, as runs of older versions have none.
pub(crate) fn forget_hashes(folder: &Path) {
    edit_manifest(folder, |manifest| manifest["tables"] = json!({}));
}

/// A line of a journal with its right checksum.
pub(crate) fn journal_line(word: &str, json: &[u8]) -> Vec<u8> {
    let crc = format!("{:08x}", crc32fast::hash(json));
    [b"{\"crc32\":\"", crc.as_bytes(), b"\",\"", word.as_bytes(), b"\":", json, b"}\n"].concat()
}

/// The JSON of the rows of a journal.
pub(crate) fn journal_rows(journal: &[u8]) -> Vec<Vec<u8>> {
    let start = br#"{"crc32":"00000000","row":"#.len();
    let lines = journal.split(|byte| *byte == b'\n').filter(|line| line.len() > start);
    lines.map(|line| line[start..line.len() - 1].to_vec()).collect()
}

/// The manifest of [`run`].
pub(crate) fn manifest() -> RunManifest {
    synthetic(3, 2).0
}
