//! Images, data sets, and maps that other tools made.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
};

use super::{made, no_files, pipe};
use crate::{
    files::{
        chunks, deflated_zeros, floats, ihdr, jpeg_of, npy, npy_header, photograph, png, vector,
    },
    loaders,
    table::{Case, Section, all_refused, file, read, refused},
};

pub(super) fn sections() -> Vec<Section> {
    vec![
        Section {
            title: "Images",
            load: loaders::image,
            limit: 1024,
            cases: no_files("a.jpg").into_iter().chain(images()).collect(),
        },
        Section {
            title: "Images, squashed to a square",
            load: loaders::squashed,
            limit: 512,
            cases: long_images(),
        },
        Section {
            title: "Data sets and their images",
            load: loaders::dataset,
            limit: 64,
            cases: datasets(),
        },
        Section {
            title: "Manifests of data sets",
            load: loaders::listing,
            limit: 64,
            cases: no_files("data.yaml").into_iter().chain(manifests()).collect(),
        },
        Section {
            title: "Lists of images and boxes (CSV)",
            load: loaders::listing,
            limit: 128,
            cases: lists(),
        },
        Section {
            title: "Maps of other tools (`.npy`)",
            load: loaders::map,
            limit: 256,
            cases: no_files("a.npy").into_iter().chain(maps()).collect(),
        },
    ]
}

/// A PNG of zeros, as many rows as its header claims, with these chunks before them.
fn blank(width: u32, height: u32, bits: u8, colors: u8, before: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let samples = if colors == 2 { 3 } else { 1 };
    let row = 1 + (width as usize * samples * usize::from(bits)).div_ceil(8);
    let header = ihdr(width, height, bits, colors);
    let pixels = deflated_zeros(row * height as usize);
    let mut all: Vec<(&[u8; 4], &[u8])> = vec![(b"IHDR", &header)];
    all.extend(before);
    all.extend([(b"IDAT", &pixels[..]), (b"IEND", &[][..])]);
    png(&all)
}

#[expect(clippy::too_many_lines, reason = "a list of files")]
fn images() -> Vec<Case> {
    let of = |name: &'static str| file("a.jpg", move || vector(&format!("cam-data/images/{name}")));
    vec![
        read("a PNG file called `.jpg`", of("png-rgb.png")),
        read("a JPEG in CMYK", of("jpeg-cmyk.jpg")),
        read("a PNG of 16 bits", of("png-gray-16-bit.png")),
        read("a PNG of one bit", of("png-one-bit.png")),
        read("a PNG with transparency", of("png-rgba.png")),
        read("a progressive JPEG, turned by its EXIF tag", of("jpeg-turned.jpg")),
        read(
            "a PNG that moves: the first of its pictures",
            file("a.png", || {
                let whole = chunks(&vector("cam-data/images/png-rgb.png"));
                let frame = |number: u32| {
                    let size: Vec<u8> =
                        [number, 72, 60, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect();
                    [&size[..], &[0, 1, 0, 10, 0, 0]].concat()
                };
                let (first, second) = (frame(0), frame(1));
                let pixels = &whole.iter().find(|(kind, _)| kind == b"IDAT").unwrap().1;
                let more = [&2_u32.to_be_bytes()[..], pixels].concat();
                png(&[
                    (b"IHDR", &whole[0].1),
                    (b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
                    (b"fcTL", &first),
                    (b"IDAT", pixels),
                    (b"fcTL", &second),
                    (b"fdAT", &more),
                    (b"IEND", &[]),
                ])
            }),
        ),
        refused("a GIF that moves", file("a.gif", || b"GIF89a\x01\0\x01\0\0\0\0;".to_vec())),
        refused("a WebP", file("a.png", || b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0".to_vec())),
        refused("an SVG", file("a.png", || b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec())),
        refused(
            "a PNG that claims 60,000 x 60,000 pixels",
            file("a.png", || png(&[(b"IHDR", &ihdr(60_000, 60_000, 8, 2)), (b"IDAT", &[])])),
        ),
        refused(
            "a PNG that claims 2³¹ - 1 pixels a side",
            file("a.png", || {
                png(&[(b"IHDR", &ihdr(i32::MAX as u32, i32::MAX as u32, 8, 2)), (b"IDAT", &[])])
            }),
        ),
        refused(
            "a PNG that claims 2³² - 1 pixels a side",
            file("a.png", || png(&[(b"IHDR", &ihdr(u32::MAX, u32::MAX, 8, 2)), (b"IDAT", &[])])),
        ),
        refused(
            "a PNG of no pixels",
            file("a.png", || png(&[(b"IHDR", &ihdr(0, 0, 8, 2)), (b"IDAT", &[]), (b"IEND", &[])])),
        ),
        refused(
            "a JPEG that claims 65,500 x 65,500 pixels",
            file("a.jpg", || jpeg_of(65_500, 65_500, false)),
        ),
        read(
            "a progressive JPEG that claims 9,900 x 9,900 pixels and has few: the others are gray",
            file("a.jpg", || jpeg_of(9_900, 9_900, true)),
        ),
        refused("a JPEG without height", file("a.jpg", || jpeg_of(97, 0, false))),
        refused(
            "a PNG that claims 10,000 x 10,000 pixels and has none",
            file("a.png", || png(&[(b"IHDR", &ihdr(10_000, 10_000, 8, 2)), (b"IDAT", &[])])),
        ),
        read(
            "a PNG of 10,000 x 10,000 pixels, all black, in 300 kB",
            file("a.png", || blank(10_000, 10_000, 8, 2, &[])),
        ),
        refused(
            "a PNG of 60,000 x 1, resized to a line of 2,880,000",
            file("a.png", || blank(60_000, 1, 8, 0, &[])),
        ),
        read(
            "a color profile of 256 MiB, in 260 kB",
            file("a.png", || {
                let profile = [&b"profile\0\0"[..], &deflated_zeros(1 << 28)].concat();
                blank(64, 48, 8, 2, &[(b"iCCP", &profile)])
            }),
        ),
        read(
            "a comment of 256 MiB, in 260 kB",
            file("a.png", || {
                let comment = [&b"Comment\0\0"[..], &deflated_zeros(1 << 28)].concat();
                blank(64, 48, 8, 2, &[(b"zTXt", &comment)])
            }),
        ),
        read(
            "pixels of 256 MiB for an image of 64 x 48",
            file("a.png", || {
                let header = ihdr(64, 48, 8, 2);
                let pixels = deflated_zeros(1 << 28);
                png(&[(b"IHDR", &header), (b"IDAT", &pixels), (b"IEND", &[])])
            }),
        ),
        refused("a palette that is not there", file("a.png", || blank(64, 48, 8, 3, &[]))),
        refused(
            "a wrong checksum",
            file("a.png", || {
                let mut bytes = photograph();
                let at = bytes.len() - 16;
                bytes[at] ^= 1;
                bytes
            }),
        ),
        all_refused("a JPEG, cut off at every hundredth byte", |folder| {
            cut(folder, &vector("cam-data/images/jpeg-420-odd.jpg"), 100, "jpg")
        }),
        all_refused("a PNG, cut off at every hundredth byte", |folder| {
            let whole = vector("cam-data/images/png-rgb.png");
            cut(folder, &whole[..whole.len() - 12], 100, "png")
        }),
    ]
}

/// What is small before and after, and not on the way: width is resized before height, by filters as long as what they
/// shrink.
fn long_images() -> Vec<Case> {
    let line = |title, width, height| {
        refused(title, file("a.png", move || blank(width, height, 8, 0, &[])))
    };
    vec![
        line("a PNG of 1 x 100,000,000, in 200 kB", 1, 100_000_000),
        line("a PNG of 100,000,000 x 1, in 100 kB", 100_000_000, 1),
        line("a PNG of 50 x 1,000,000", 50, 1_000_000),
        read(
            "a PNG of 1,000,000 x 50, whose width comes first",
            file("a.png", || blank(1_000_000, 50, 8, 0, &[])),
        ),
    ]
}

/// The first bytes of a file, every `step` of them, each in a file of its own.
fn cut(folder: &Path, whole: &[u8], step: usize, extension: &str) -> Vec<PathBuf> {
    let cut = |length: usize| {
        let path = folder.join(format!("{length}.{extension}"));
        fs::write(&path, &whole[..length]).unwrap();
        path
    };
    (0..whole.len()).step_by(step).map(cut).collect()
}

const FILES: &str = "root: images\nlayout: files\n";
const FOLDERS: &str = "root: images\nlayout: folders\n";
const CSV: &str = "root: images\nlayout: csv\ncsv: list.csv\n";

/// A data set with one good image, and whatever else is put beside it; its manifest.
fn with(folder: &Path, manifest: &str, beside: impl FnOnce(&Path)) -> PathBuf {
    let images = folder.join("images");
    fs::create_dir(&images).unwrap();
    fs::write(images.join("good.png"), photograph()).unwrap();
    beside(&images);
    made(folder.join("data.yaml"), |path| fs::write(path, manifest))
}

#[expect(clippy::too_many_lines, reason = "a list of folders")]
fn datasets() -> Vec<Case> {
    let beside = |put: fn(&Path)| move |folder: &Path| with(folder, FILES, put);
    vec![
        read(
            "names with spaces, quotes, `%` and no ASCII",
            beside(|images| {
                for name in ["a b.png", "'q\".png", "100%.png", "ñandú 雪.png"] {
                    fs::write(images.join(name), photograph()).unwrap();
                }
            }),
        ),
        read(
            "a name of two lines",
            beside(|images| {
                fs::write(images.join("two\nlines.png"), photograph()).unwrap();
            }),
        ),
        read(
            "names that are Markdown, HTML and a formula",
            beside(|images| {
                for name in ["| a |.png", "<img src=x onerror=alert(1)>.png", "=1+1.png", "`x`.png"]
                {
                    fs::write(images.join(name), photograph()).unwrap();
                }
            }),
        ),
        refused(
            "a name that is not UTF-8",
            beside(|images| {
                fs::write(images.join(OsStr::from_bytes(b"snow\xff.png")), photograph()).unwrap();
            }),
        ),
        read(
            "a link to an image outside of the data set: it is followed, and its hash is kept",
            |folder| {
                let outside =
                    made(folder.join("outside.png"), |path| fs::write(path, photograph()));
                with(folder, FILES, |images| symlink(outside, images.join("link.png")).unwrap())
            },
        ),
        refused(
            "a link to an image that is not there",
            beside(|images| {
                symlink("gone.png", images.join("link.png")).unwrap();
            }),
        ),
        refused(
            "a link to itself",
            beside(|images| {
                symlink("link.png", images.join("link.png")).unwrap();
            }),
        ),
        refused(
            "a link to `/dev/zero`",
            beside(|images| {
                symlink("/dev/zero", images.join("link.png")).unwrap();
            }),
        ),
        refused("a pipe", beside(|images| drop(pipe(&images.join("pipe.png"))))),
        read(
            "a folder called `.png`: passed over, as any folder in `layout: files`",
            beside(|images| {
                fs::create_dir(images.join("folder.png")).unwrap();
            }),
        ),
        read(
            "hidden files, and files of other kinds: passed over",
            beside(|images| {
                for name in [".hidden.png", "notes.txt", "Thumbs.db"] {
                    fs::write(images.join(name), "x").unwrap();
                }
            }),
        ),
        refused(
            "an empty image",
            beside(|images| fs::write(images.join("empty.png"), "").unwrap()),
        ),
        read(
            "a folder that is a link to the folder it is in: its images are of that class",
            |folder| with(folder, FOLDERS, |images| symlink(".", images.join("loop")).unwrap()),
        ),
        refused("a root that is a link to itself", |folder| {
            symlink("images", folder.join("images")).unwrap();
            made(folder.join("data.yaml"), |path| fs::write(path, FILES))
        }),
        refused("a root that is a file", |folder| {
            fs::write(folder.join("images"), "x").unwrap();
            made(folder.join("data.yaml"), |path| fs::write(path, FILES))
        }),
        refused("a listed image with another hash", |folder| {
            let list = format!("path,sha256\ngood.png,{}\n", "0".repeat(64));
            fs::write(folder.join("list.csv"), list).unwrap();
            with(folder, CSV, |_| {})
        }),
        refused("a listed pipe", |folder| {
            fs::write(folder.join("list.csv"), "path\npipe.png\n").unwrap();
            with(folder, CSV, |images| drop(pipe(&images.join("pipe.png"))))
        }),
        read("a listed name of two lines", |folder| {
            fs::write(folder.join("list.csv"), "path\n\"two\nlines.png\"\n").unwrap();
            with(folder, CSV, |images| {
                fs::write(images.join("two\nlines.png"), photograph()).unwrap();
            })
        }),
    ]
}

fn manifests() -> Vec<Case> {
    let of = |text: &'static str| move |folder: &Path| with(folder, text, |_| {});
    vec![
        refused("lists in lists, 10,000 deep", |folder| {
            with(folder, &format!("root: {}", "[".repeat(10_000)), |_| {})
        }),
        refused("a key twice", of("root: a\nroot: images\nlayout: files\n")),
        refused("a key that is unknown", of("root: images\nlayout: files\nlimits: 3\n")),
        refused(
            "an environment variable that is not set",
            of("root: ${CAMBENCH_NO_SUCH}\nlayout: files\n"),
        ),
        refused("a limit of -1", of("root: images\nlayout: files\nlimit: -1\n")),
        refused(
            "a limit of 10³⁰",
            of("root: images\nlayout: files\nlimit: 1000000000000000000000000000000\n"),
        ),
        refused("a limit of 0", of("root: images\nlayout: files\nlimit: 0\n")),
        refused(
            "collages of 65,536 cells a side",
            of("root: images\nlayout: grid\ngrid: { side: 65536, of: folders }\n"),
        ),
        refused("a list that is a folder", of("root: images\nlayout: csv\ncsv: images\n")),
        refused("a root with a byte of 0", of("root: \"a\\0b\"\nlayout: files\n")),
    ]
}

fn lists() -> Vec<Case> {
    let of = |list: &'static [u8]| {
        move |folder: &Path| {
            fs::write(folder.join("list.csv"), list).unwrap();
            with(folder, CSV, |_| {})
        }
    };
    vec![
        read(
            "a list, honestly written",
            of(b"path,label,xmin,ymin,xmax,ymax\ngood.png,7,1,2,30,40\n"),
        ),
        read(
            "a byte order mark, lines that end in CR LF, and spaces",
            of(b"\xef\xbb\xbf path , label \r\n good.png , 7 \r\n"),
        ),
        refused("an empty list", of(b"")),
        refused("a list that is not UTF-8", of(b"path\nsnow\xff.png\n")),
        refused("a byte of 0 in a path", of(b"path\ngood\0.png\n")),
        refused("a path that climbs out", of(b"path\n../data.yaml\n")),
        refused("a path that hides climbing", of(b"path\nx/../../data.yaml\n")),
        refused("a path that climbs out as on Windows", of(b"path\n..\\data.yaml\n")),
        refused("a path from the root", of(b"path\n/etc/passwd\n")),
        refused("a path to a folder", of(b"path\n.\n")),
        refused("an image that is not there", of(b"path\ngone.png\n")),
        refused("an image twice", of(b"path\ngood.png\n./good.png\n")),
        refused("a quote that never ends", of(b"path,label\n\"good.png,7\n")),
        refused("a line with too few fields", of(b"path,label\ngood.png\n")),
        refused("a line with too many fields", of(b"path,label\ngood.png,7,8\n")),
        refused("no known column", of(b"file,class\ngood.png,7\n")),
        refused("a label of -1", of(b"path,label\ngood.png,-1\n")),
        refused("a label of 10³⁰", of(b"path,label\ngood.png,1000000000000000000000000000000\n")),
        refused("a label that is no number", of(b"path,label\ngood.png,NaN\n")),
        refused("three edges of a box", of(b"path,xmin,ymin,xmax\ngood.png,1,2,3\n")),
        refused(
            "a box whose right is left of its left",
            of(b"path,xmin,ymin,xmax,ymax\ngood.png,30,2,1,40\n"),
        ),
        refused("a box of NaN", of(b"path,xmin,ymin,xmax,ymax\ngood.png,NaN,2,30,40\n")),
        refused("a box without end", of(b"path,xmin,ymin,xmax,ymax\ngood.png,1,2,inf,40\n")),
        read(
            "a box of 10³⁰⁸ pixels, of which those in the image count",
            of(b"path,xmin,ymin,xmax,ymax\ngood.png,-1e308,-1e308,1e308,1e308\n"),
        ),
        refused("Kaggle's list with a box of three numbers", |folder| {
            let list = "ImageId,PredictionString\ngood,n01440764 1 2 3\n";
            fs::write(folder.join("list.csv"), list).unwrap();
            with(folder, CSV, |images| {
                fs::write(images.join("good.JPEG"), photograph()).unwrap();
            })
        }),
        refused("one line of 16 MiB", |folder| {
            let list = format!("path\n{}\n", "x".repeat(16 << 20));
            fs::write(folder.join("list.csv"), list).unwrap();
            with(folder, CSV, |_| {})
        }),
        refused("a list that is a pipe", |folder| {
            pipe(&folder.join("list.csv"));
            with(folder, CSV, |_| {})
        }),
    ]
}

fn maps() -> Vec<Case> {
    let of = |descr: &'static str, order: &'static str, shape: &'static str, n: usize| {
        file("a.npy", move || npy(&npy_header(descr, order, shape), &floats(n)))
    };
    let header = |text: &'static str| file("a.npy", move || npy(text, &floats(6)));
    vec![
        read("a map, honestly saved", of("<f4", "False", "2, 3", 6)),
        read("a map that was transposed before it was saved", of("<f4", "True", "2, 3", 6)),
        refused("a shape of more numbers than there are", of("<f4", "False", "2000, 3000", 6)),
        refused("a shape of fewer numbers than there are", of("<f4", "False", "1, 3", 6)),
        refused(
            "a shape that is more than a number holds",
            of("<f4", "False", "4611686018427387904, 4", 6),
        ),
        refused("a side of -1", of("<f4", "False", "-2, -3", 6)),
        refused("a side of 0", of("<f4", "False", "0, 3", 0)),
        refused("one dimension", of("<f4", "False", "6,", 6)),
        refused(
            "a million dimensions",
            file("a.npy", || {
                let text = npy_header("<f4", "False", &"1,".repeat(1_000_000));
                let length = (text.len() as u32).to_le_bytes();
                [b"\x93NUMPY\x02\x00", &length[..], text.as_bytes(), &floats(1)].concat()
            }),
        ),
        refused(
            "a header of 4 GiB",
            file("a.npy", || b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec()),
        ),
        refused("big-endian numbers", of(">f4", "False", "2, 3", 6)),
        refused("objects, which are pickles", of("|O", "False", "2, 3", 6)),
        refused(
            "a structure",
            header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }\n"),
        ),
        refused("no shape", header("{'descr': '<f4', 'fortran_order': False}\n")),
        refused(
            "code in the header",
            header(
                "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (2, 3)}\n",
            ),
        ),
        refused("an order that is neither", of("<f4", "Maybe", "2, 3", 6)),
        refused("version 9 of the format", file("a.npy", || b"\x93NUMPY\x09\x00\x00\x00".to_vec())),
        refused("an archive of several maps (`.npz`)", file("a.npy", || b"PK\x03\x04".to_vec())),
        all_refused("each of its first bytes without the rest", |folder| {
            cut(folder, &npy(&npy_header("<f4", "False", "2, 3"), &floats(6)), 1, "npy")
        }),
    ]
}
