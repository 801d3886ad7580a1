//! Runs and baselines, and the whole program among hostile names.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{made, pipe};
use crate::{
    files::{
        cut_run, edit_manifest, forget_hashes, journal_line, journal_rows, npy, npy_header,
        photograph, run,
    },
    loaders,
    table::{Case, Section, all_refused, read, refused},
};

pub(super) fn sections() -> Vec<Section> {
    vec![
        Section { title: "Runs", load: loaders::run, limit: 512, cases: runs() },
        Section {
            title: "Unfinished runs, continued",
            load: loaders::continued,
            limit: 64,
            cases: continued(),
        },
        Section {
            title: "Runs that are cut into shards, and how far they are",
            load: loaders::cut_run,
            limit: 64,
            cases: cut_runs(),
        },
        Section { title: "Baselines", load: loaders::baselines, limit: 64, cases: baselines() },
        Section {
            title: "The whole program",
            load: loaders::program,
            limit: 64,
            cases: programs(),
        },
        Section {
            title: "The whole program, started in another folder",
            load: loaders::program_elsewhere,
            limit: 64,
            cases: programs_elsewhere(),
        },
    ]
}

/// A run of three images and two methods, after something was done to its folder.
fn after(
    is_finished: bool,
    change: impl Fn(&Path) + 'static,
) -> impl Fn(&Path) -> PathBuf + 'static {
    move |folder| {
        let folder = run(&folder.join("run"), is_finished);
        change(&folder);
        folder
    }
}

fn finished(change: impl Fn(&Path) + 'static) -> impl Fn(&Path) -> PathBuf + 'static {
    after(true, change)
}

fn unfinished(change: impl Fn(&Path) + 'static) -> impl Fn(&Path) -> PathBuf + 'static {
    after(false, change)
}

fn edited(edit: impl Fn(&mut Value) + Copy + 'static) -> impl Fn(&Path) -> PathBuf + 'static {
    finished(move |folder| edit_manifest(folder, edit))
}

/// What is done to the bytes of a file.
type Change = Box<dyn Fn(&mut Vec<u8>)>;

/// Changes the bytes of a file.
fn tamper(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Copies of a run in each of which one file was changed in another way.
fn copies(
    folder: &Path,
    file: &'static str,
    has_hashes: bool,
    changes: impl Iterator<Item = Change>,
) -> Vec<PathBuf> {
    let whole = run(&folder.join("whole"), true);
    if !has_hashes {
        forget_hashes(&whole);
    }
    let copy = |(number, change): (usize, Change)| {
        let copy = folder.join(number.to_string());
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&whole).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        tamper(&copy.join(file), change);
        copy
    };
    changes.enumerate().map(copy).collect()
}

/// So many copies, each with a byte changed at another place of a file.
fn flipped(folder: &Path, file: &'static str, n: usize) -> Vec<PathBuf> {
    let change = |i: usize| -> Change {
        Box::new(move |bytes| {
            let at = i * (bytes.len() - 1) / (n - 1);
            bytes[at] ^= 1 << (i % 8);
        })
    };
    copies(folder, file, true, (0..n).map(change))
}

/// So many copies without hashes, each with a file cut off at another place.
fn shortened(folder: &Path, file: &'static str, n: usize) -> Vec<PathBuf> {
    let change =
        |i: usize| -> Change { Box::new(move |bytes| bytes.truncate(i * bytes.len() / n)) };
    copies(folder, file, false, (0..n).map(change))
}

#[expect(clippy::too_many_lines, reason = "a list of folders")]
fn runs() -> Vec<Case> {
    let tables = ["records.parquet", "curves.parquet", "maps.parquet"];
    let mut cases = vec![
        read("a run, honestly finished", finished(|_| {})),
        read("a run of an older version, without hashes", finished(forget_hashes)),
        read("a run whose last row is missing", unfinished(|_| {})),
        refused("nothing at all", |folder| folder.join("run")),
        refused("a file", |folder| made(folder.join("run"), |path| fs::write(path, "x"))),
        refused("an empty folder", |folder| made(folder.join("run"), |path| fs::create_dir(path))),
        refused(
            "`manifest.json` that is a folder",
            finished(|folder| {
                fs::remove_file(folder.join("manifest.json")).unwrap();
                fs::create_dir(folder.join("manifest.json")).unwrap();
            }),
        ),
        refused(
            "`manifest.json` that is a pipe",
            finished(|folder| {
                fs::remove_file(folder.join("manifest.json")).unwrap();
                pipe(&folder.join("manifest.json"));
            }),
        ),
        refused(
            "`manifest.json` that is a link to itself",
            finished(|folder| {
                fs::remove_file(folder.join("manifest.json")).unwrap();
                symlink("manifest.json", folder.join("manifest.json")).unwrap();
            }),
        ),
        refused(
            "`manifest.json` of 1 TiB, on a disk that stores none of it",
            finished(|folder| {
                fs::File::create(folder.join("manifest.json")).unwrap().set_len(1 << 40).unwrap();
            }),
        ),
        all_refused("`manifest.json`, cut off at every fiftieth of it", |folder| {
            shortened(folder, "manifest.json", 50)
        }),
        refused(
            "`manifest.json` that is not UTF-8",
            finished(|folder| {
                tamper(&folder.join("manifest.json"), |bytes| bytes[20] = 0xff);
            }),
        ),
        refused(
            "`manifest.json` of lists, 100,000 deep",
            finished(|folder| {
                let text = format!("{{\"schema\": 1, \"sweep\": {}", "[".repeat(100_000));
                fs::write(folder.join("manifest.json"), text).unwrap();
            }),
        ),
        refused(
            "a field twice",
            finished(|folder| {
                tamper(&folder.join("manifest.json"), |bytes| {
                    bytes.splice(1..1, b"\"schema\": 1,".iter().copied());
                });
            }),
        ),
        refused("a newer schema", edited(|manifest| manifest["schema"] = json!(1_u64 << 40))),
        refused("a schema that is no number", edited(|manifest| manifest["schema"] = json!("1"))),
        refused("no schema", edited(|manifest| manifest["schema"] = json!(null))),
        refused("a seed of -1", edited(|manifest| manifest["seed"] = json!(-1))),
        refused(
            "a width of NaN",
            finished(|folder| {
                tamper(&folder.join("manifest.json"), |bytes| {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    *bytes = text
                        .replacen("\"published_top1\": null", "\"published_top1\": NaN", 1)
                        .into();
                });
            }),
        ),
        refused(
            "a plan of 10¹² rows",
            edited(|manifest| {
                for list in ["models", "methods", "images"] {
                    manifest[list] = Value::Array(vec![manifest[list][0].clone(); 10_000]);
                }
            }),
        ),
        refused(
            "an image that was not computed",
            edited(|manifest| {
                let mut entry = manifest["images"][0].clone();
                entry["image"] = json!("other.jpg");
                manifest["images"].as_array_mut().unwrap().push(entry);
            }),
        ),
        refused(
            "the manifest of another run",
            edited(|manifest| {
                manifest["images"][0]["image"] = json!("elsewhere.jpg");
            }),
        ),
        refused(
            "a metric that was not computed",
            edited(|manifest| {
                manifest["metrics"][0]["name"] = json!("other");
            }),
        ),
        refused("a status that is none", edited(|manifest| manifest["status"] = json!("paused"))),
        refused(
            "text in place of `records.parquet`",
            finished(|folder| {
                forget_hashes(folder);
                fs::write(folder.join("records.parquet"), "PAR1 not PAR1").unwrap();
            }),
        ),
        refused(
            "`maps.parquet` in place of `records.parquet`",
            finished(|folder| {
                forget_hashes(folder);
                fs::copy(folder.join("maps.parquet"), folder.join("records.parquet")).unwrap();
            }),
        ),
        refused(
            "`records.parquet` whose footer claims 2 GiB",
            finished(|folder| {
                forget_hashes(folder);
                tamper(&folder.join("records.parquet"), |bytes| {
                    let at = bytes.len() - 8;
                    bytes[at..at + 4].copy_from_slice(&i32::MAX.to_le_bytes());
                });
            }),
        ),
        refused(
            "`records.parquet` that is a pipe",
            finished(|folder| {
                fs::remove_file(folder.join("records.parquet")).unwrap();
                pipe(&folder.join("records.parquet"));
            }),
        ),
        refused(
            "`maps.parquet` that is not there",
            finished(|folder| {
                fs::remove_file(folder.join("maps.parquet")).unwrap();
            }),
        ),
        refused(
            "`maps.parquet` whose columns have other lengths than it says (found by `fuzz`)",
            finished(|folder| {
                forget_hashes(folder);
                let found = include_bytes!("../found/columns-of-other-lengths.parquet");
                fs::write(folder.join("maps.parquet"), found).unwrap();
            }),
        ),
        refused(
            "`maps.parquet` whose footer claims lists of 27 GB (found by `fuzz`)",
            finished(|folder| {
                forget_hashes(folder);
                let found = include_bytes!("../found/footer-of-long-lists.parquet");
                fs::write(folder.join("maps.parquet"), found).unwrap();
            }),
        ),
        read(
            "a journal with a line cut off at its end",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| bytes.truncate(bytes.len() - 9));
            }),
        ),
        read(
            "a journal with a byte changed",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| bytes[99] ^= 1);
            }),
        ),
        read(
            "a journal of bytes that are no text",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| {
                    bytes.splice(0..0, b"\xff\x00\xfe\n".iter().copied());
                });
            }),
        ),
        read(
            "a journal that begins with a line of 300 MiB",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| {
                    let long = vec![b'x'; 300 << 20];
                    bytes.splice(0..0, long.into_iter().chain([b'\n']));
                });
            }),
        ),
        read(
            "a journal of another run",
            unfinished(|folder| {
                edit_manifest(folder, |manifest| manifest["models"][0]["name"] = json!("other"));
            }),
        ),
        refused(
            "a row of a right checksum, whose map has another shape",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| {
                    let lines = journal_rows(bytes).into_iter().map(|row| {
                        let mut row: Value = serde_json::from_slice(&row).unwrap();
                        row["map"]["height"] = json!(u32::MAX);
                        journal_line("row", &serde_json::to_vec(&row).unwrap())
                    });
                    *bytes = lines.collect::<Vec<_>>().concat();
                });
            }),
        ),
        refused(
            "rows of a right checksum, with fields that are no numbers",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| {
                    let lines = journal_rows(bytes).into_iter().map(|row| {
                        let mut row: Value = serde_json::from_slice(&row).unwrap();
                        row["record"]["forwards"] = json!("many");
                        journal_line("row", &serde_json::to_vec(&row).unwrap())
                    });
                    *bytes = lines.collect::<Vec<_>>().concat();
                });
            }),
        ),
        read(
            "one row, a thousand times: it counts once",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| {
                    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                    *bytes = bytes[..end].repeat(1000);
                });
            }),
        ),
        refused(
            "a journal that is a pipe",
            unfinished(|folder| {
                fs::remove_file(folder.join("journal.jsonl")).unwrap();
                pipe(&folder.join("journal.jsonl"));
            }),
        ),
        refused(
            "a part of a shard, and no plan of shards",
            unfinished(|folder| {
                fs::create_dir_all(folder.join("shards/parts")).unwrap();
                fs::write(folder.join("shards/parts/000000.jsonl"), "x\n").unwrap();
            }),
        ),
    ];
    for table in tables {
        cases.push(all_refused(
            &format!("`{table}` with a bit changed, at 60 places"),
            move |folder| flipped(folder, table, 60),
        ));
        cases.push(all_refused(
            &format!("`{table}`, cut off at every thirtieth of it, in a run without hashes"),
            move |folder| shortened(folder, table, 30),
        ));
    }
    cases
}

fn continued() -> Vec<Case> {
    vec![
        read("a run whose last row is missing", unfinished(|_| {})),
        read(
            "a journal with a line cut off at its end: it is mended",
            unfinished(|folder| {
                tamper(&folder.join("journal.jsonl"), |bytes| bytes.truncate(bytes.len() - 9));
            }),
        ),
        read(
            "a journal of nothing but text",
            unfinished(|folder| {
                fs::write(folder.join("journal.jsonl"), "Dear Sir or Madam,\n").unwrap();
            }),
        ),
        refused(
            "a journal that is a folder",
            unfinished(|folder| {
                fs::remove_file(folder.join("journal.jsonl")).unwrap();
                fs::create_dir(folder.join("journal.jsonl")).unwrap();
            }),
        ),
        refused(
            "a journal that is a pipe",
            unfinished(|folder| {
                fs::remove_file(folder.join("journal.jsonl")).unwrap();
                pipe(&folder.join("journal.jsonl"));
            }),
        ),
        refused(
            "a lock that is a pipe",
            unfinished(|folder| {
                fs::remove_file(folder.join(".lock")).unwrap();
                pipe(&folder.join(".lock"));
            }),
        ),
        refused(
            "a plan with an image twice",
            unfinished(|folder| {
                edit_manifest(folder, |manifest| {
                    let entry = manifest["images"][0].clone();
                    manifest["images"].as_array_mut().unwrap().push(entry);
                });
            }),
        ),
        refused(
            "a plan with a metric called like a column",
            unfinished(|folder| {
                edit_manifest(folder, |manifest| manifest["metrics"][0]["name"] = json!("status"));
            }),
        ),
    ]
}

fn cut_runs() -> Vec<Case> {
    let of = |change: fn(&Path)| {
        move |folder: &Path| {
            let run = cut_run(folder);
            fs::create_dir(run.join("shards/failed")).unwrap();
            change(&run);
            run
        }
    };
    // Of the second of two shards: the third image.
    let other_images = |images: &'static str| {
        move |folder: &Path| {
            let run = cut_run(folder);
            tamper(&run.join("shards/plan.json"), |bytes| {
                let text = String::from_utf8(bytes.clone()).unwrap();
                assert!(text.contains("\"images\":[2,3]"), "{text}");
                *bytes = text.replace("\"images\":[2,3]", images).into();
            });
            run
        }
    };
    vec![
        read("a run of two shards, one of which is there", of(|_| {})),
        refused("images that end before they begin", other_images("\"images\":[3,2]")),
        refused("images that the run does not have", other_images("\"images\":[2,4]")),
        refused("images of another shard", other_images("\"images\":[1,3]")),
        refused("no images", other_images("\"images\":[2,2]")),
        refused(
            "a shard whose index is another's",
            of(|run| {
                tamper(&run.join("shards/plan.json"), |bytes| {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    *bytes = text.replace("\"index\":1", "\"index\":9").into();
                });
            }),
        ),
        refused(
            "a plan of 1 TiB, on a disk that stores none of it",
            of(|run| {
                fs::File::create(run.join("shards/plan.json")).unwrap().set_len(1 << 40).unwrap();
            }),
        ),
        refused(
            "a plan that is a pipe",
            of(|run| {
                fs::remove_file(run.join("shards/plan.json")).unwrap();
                pipe(&run.join("shards/plan.json"));
            }),
        ),
        read(
            "a failure of a shard that there is not: passed over",
            of(|run| {
                let failure = json!({ "shard": usize::MAX, "host": "here", "message": "no" });
                fs::write(run.join("shards/failed/a.json"), failure.to_string()).unwrap();
            }),
        ),
        refused(
            "a failure that is cut off",
            of(|run| fs::write(run.join("shards/failed/a.json"), "{\"shard\":").unwrap()),
        ),
        refused(
            "a failure of 1 TiB, on a disk that stores none of it",
            of(|run| {
                fs::File::create(run.join("shards/failed/a.json"))
                    .unwrap()
                    .set_len(1 << 40)
                    .unwrap();
            }),
        ),
        refused(
            "a failure that is a pipe",
            of(|run| drop(pipe(&run.join("shards/failed/a.json")))),
        ),
    ]
}

fn baselines() -> Vec<Case> {
    let of = |change: fn(&Path)| {
        move |folder: &Path| {
            run(&folder.join("run"), true);
            fs::create_dir(folder.join("baselines")).unwrap();
            change(folder);
            folder.to_owned()
        }
    };
    vec![
        read("no baseline yet", of(|_| {})),
        read(
            "files and folders that are no baselines: passed over",
            of(|folder| {
                fs::write(folder.join("baselines/notes.txt"), "x").unwrap();
                fs::create_dir(folder.join("baselines/empty")).unwrap();
                symlink("loop", folder.join("baselines/loop")).unwrap();
                pipe(&folder.join("baselines/pipe"));
            }),
        ),
        refused(
            "a baseline cut off in its manifest",
            of(|folder| {
                run(&folder.join("baselines/old"), true);
                tamper(&folder.join("baselines/old/manifest.json"), |bytes| bytes.truncate(99));
            }),
        ),
        refused(
            "a baseline with a bit changed in its records",
            of(|folder| {
                run(&folder.join("baselines/old"), true);
                tamper(&folder.join("baselines/old/records.parquet"), |bytes| bytes[99] ^= 1);
            }),
        ),
        refused(
            "a name that climbs out",
            of(|folder| {
                fs::write(folder.join("name"), "../new").unwrap();
            }),
        ),
        refused(
            "a name that is a path",
            of(|folder| fs::write(folder.join("name"), "/new").unwrap()),
        ),
        refused("a hidden name", of(|folder| fs::write(folder.join("name"), ".new").unwrap())),
        refused("an empty name", of(|folder| fs::write(folder.join("name"), "").unwrap())),
        refused(
            "a name of two lines",
            of(|folder| fs::write(folder.join("name"), "a\nb").unwrap()),
        ),
        refused(
            "a name that is taken by a file",
            of(|folder| {
                fs::write(folder.join("baselines/new"), "x").unwrap();
            }),
        ),
        refused(
            "a run that is not finished",
            of(|folder| {
                fs::remove_dir_all(folder.join("run")).unwrap();
                run(&folder.join("run"), false);
            }),
        ),
    ]
}

/// A sweep of one method over the images of a data set, in a folder of that name.
fn sweep(folder: &Path, method: &str, put: impl Fn(&Path)) -> PathBuf {
    let images = folder.join("images");
    fs::create_dir_all(&images).unwrap();
    fs::write(images.join("a.png"), photograph()).unwrap();
    fs::write(folder.join("data.yaml"), "root: images\nlayout: files\n").unwrap();
    put(folder);
    let sweep = format!(
        "name: t\ndataset: {{ manifest: data.yaml }}\nmodels: [{{ name: tf_efficientnet_lite0, weights: seeded }}]\n\
         methods: [{method}]\nmetrics: [drop]\n"
    );
    made(folder.join("sweep.yaml"), |path| fs::write(path, sweep))
}

fn programs_elsewhere() -> Vec<Case> {
    vec![
        read("a folder whose name has spaces, quotes and two lines", |folder| {
            sweep(&folder.join("a b\n\"c\" 'd' %"), "cam", |_| {})
        }),
        refused("a folder whose name is not UTF-8", |folder| {
            sweep(&folder.join(OsStr::from_bytes(b"snow\xff")), "cam", |_| {})
        }),
    ]
}

fn programs() -> Vec<Case> {
    vec![
        read(
            "a folder whose name is not UTF-8, with images of two lines, quotes and markup",
            |folder| {
                let folder = folder.join(OsStr::from_bytes(b"snow\xff and \"two\nlines\""));
                sweep(&folder, "cam", |folder| {
                    for name in ["two\nlines.png", "a | b <b>\".png"] {
                        fs::write(folder.join("images").join(name), photograph()).unwrap();
                    }
                })
            },
        ),
        read("images that are a pipe, a link to itself and a web page: failed rows", |folder| {
            sweep(folder, "cam", |folder| {
                let images = folder.join("images");
                pipe(&images.join("pipe.png"));
                symlink("link.png", images.join("link.png")).unwrap();
                fs::write(images.join("page.png"), "<html>404</html>").unwrap();
            })
        }),
        read(
            "maps of which one claims more than it has and one is a pipe: failed rows",
            |folder| {
                sweep(folder, "{ name: imported, maps: maps }", |folder| {
                    fs::create_dir(folder.join("maps")).unwrap();
                    for name in ["b.png", "c.png"] {
                        fs::write(folder.join("images").join(name), photograph()).unwrap();
                    }
                    let map = |name: &str, shape| {
                        let bytes = npy(&npy_header("|u1", "False", shape), &[0, 1, 2, 3, 4, 5]);
                        fs::write(folder.join("maps").join(name), bytes).unwrap();
                    };
                    map("a.npy", "2, 3");
                    map("b.npy", "2000, 3000");
                    pipe(&folder.join("maps/c.npy"));
                })
            },
        ),
        refused("weights that are a pipe", |folder| {
            let path = sweep(folder, "cam", |folder| drop(pipe(&folder.join("ours.pth"))));
            let text = fs::read_to_string(&path).unwrap().replace("seeded", "ours.pth");
            made(path, |path| fs::write(path, text))
        }),
        refused("class names that are a pipe", |folder| {
            let path = sweep(folder, "cam", |folder| drop(pipe(&folder.join("ours.txt"))));
            let text =
                fs::read_to_string(&path).unwrap().replace("seeded", "seeded, classes: ours.txt");
            made(path, |path| fs::write(path, text))
        }),
        refused("printed values that are no list", |folder| {
            let path = sweep(folder, "cam", |folder| {
                fs::write(folder.join("printed.csv"), "model,method\n\"never ends").unwrap();
            });
            let text = fs::read_to_string(&path).unwrap() + "reference: printed.csv\n";
            made(path, |path| fs::write(path, text))
        }),
        refused("a network for which an image of 1 x 1 pixels is too small", |folder| {
            let path = sweep(folder, "grad_cam", |_| {});
            let text = fs::read_to_string(&path).unwrap();
            let text = text
                .replace("tf_efficientnet_lite0", "vgg11")
                .replace("seeded", "seeded, preprocessing: { resize: 1, crop: 1 }");
            made(path, |path| fs::write(path, text))
        }),
    ]
}
