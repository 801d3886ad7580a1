//! Sweep files.

use std::{fmt::Write as _, fs, path::Path};

use super::no_files;
use crate::{
    loaders,
    table::{Case, Section, file, read, refused},
};

pub(super) fn sections() -> Vec<Section> {
    vec![Section {
        title: "Sweep files (YAML)",
        load: loaders::sweep,
        limit: 64,
        cases: no_files("sweep.yaml").into_iter().chain(sweeps()).collect(),
    }]
}

/// A sweep with something in the place of its methods, and more at its end.
fn of(methods: &str, more: &str) -> Vec<u8> {
    format!(
        "name: t\ndataset: {{ manifest: d.yaml }}\nmodels: [{{ name: resnet18 }}]\nmethods: {methods}\n\
         metrics: [drop]\n{more}"
    )
    .into_bytes()
}

#[expect(clippy::too_many_lines, reason = "a list of files")]
fn sweeps() -> Vec<Case> {
    let name = "sweep.yaml";
    let methods = |methods: &'static str| file(name, move || of(methods, ""));
    let more = |more: &'static str| file(name, move || of("[cam]", more));
    let model = |model: &'static str| {
        file(name, move || {
            String::from_utf8(of("[cam]", ""))
                .unwrap()
                .replace("name: resnet18", model)
                .into_bytes()
        })
    };
    vec![
        read("a sweep, honestly written", methods("[cam, { name: rise, n_masks: 500 }]")),
        refused("lists in lists, 10,000 deep", file(name, || of(&"[".repeat(10_000), ""))),
        refused("lists in lists, 1,000,000 deep", file(name, || of(&"[".repeat(1_000_000), ""))),
        refused(
            "lists in lists, 10,000 deep, by dashes",
            file(name, || {
                let mut text = String::new();
                // A level is a dash and a space more on the same line.
                write!(text, "\n  {}x", "- ".repeat(10_000)).unwrap();
                of(&text, "")
            }),
        ),
        refused(
            "aliases of aliases: a billion laughs",
            file(name, || {
                let mut options = "a: &a [x, x, x, x, x, x, x, x, x]".to_owned();
                for (this, last) in ('b'..='j').zip('a'..) {
                    let nine = vec![format!("*{last}"); 9].join(", ");
                    write!(options, ", {this}: &{this} [{nine}]").unwrap();
                }
                of(&format!("[{{ name: cam, {options} }}]"), "")
            }),
        ),
        refused("an alias of what it is in", methods("&a [*a]")),
        refused("an alias of nothing", methods("*a")),
        refused("a key twice", more("seed: 1\nseed: 2\n")),
        refused("a key of an entry twice", methods("[{ name: rise, n_masks: 1, n_masks: 2 }]")),
        refused("a name of an entry twice", methods("[{ name: cam, name: rise }]")),
        refused(
            "keys merged into an entry (`<<`)",
            methods("[{ name: cam, <<: { relu: false } }]"),
        ),
        refused("a key that is a list", methods("[{ name: cam, [1]: 2 }]")),
        refused("a tab for indentation", methods("\n\t- cam")),
        refused("a tag for Python's code", methods("!!python/object/apply:os.system [true]")),
        refused("two documents", more("---\nname: other\n")),
        refused("a byte of 0", more("seed: \0\n")),
        refused(
            "bytes that are not UTF-8",
            file(name, || [&of("[cam]", "")[..], b"# snow\xff\n"].concat()),
        ),
        refused("a text that never ends", methods("\"cam")),
        refused("5 MiB of comments", file(name, || of("[cam]", &"# no\n".repeat(1 << 20)))),
        refused("a seed of 10³⁰", more("seed: 1000000000000000000000000000000\n")),
        refused("a seed of -1", more("seed: -1\n")),
        refused("a seed of 1.5", more("seed: 1.5\n")),
        refused("10¹⁸ masks", methods("[{ name: rise, n_masks: 1000000000000000000 }]")),
        refused("a share that is not a number", methods("[{ name: rise, p: .nan }]")),
        refused("a share without end", methods("[{ name: rise, p: .inf }]")),
        refused("no memory", more("memory: 0\n")),
        refused("10⁴⁰⁰ bytes of memory", more("memory: 1e400\n")),
        refused("less than no memory", more("memory: -1GiB\n")),
        refused(
            "images of no side",
            model("name: resnet18, preprocessing: { resize: 1, crop: 0 }"),
        ),
        refused(
            "images of 2³² - 1 pixels a side",
            model("name: resnet18, preprocessing: { resize: 256, crop: 4294967295 }"),
        ),
        refused(
            "photographs of no side",
            model("name: resnet18, preprocessing: { resize: 0, crop: 1 }"),
        ),
        refused(
            "colors divided by 0",
            model("name: resnet18, preprocessing: { resize: 1, crop: 1, std: [1, 0, 1] }"),
        ),
        refused(
            "colors less what is not a number",
            model("name: resnet18, preprocessing: { resize: 1, crop: 1, mean: [.nan, 0, 1] }"),
        ),
        refused(
            "a name that is a path",
            file(name, || {
                String::from_utf8(of("[cam]", ""))
                    .unwrap()
                    .replace("name: t", "name: ../../t")
                    .into_bytes()
            }),
        ),
        refused("a name of two lines", methods("[{ name: cam, as: \"a\\nb\" }]")),
        refused("a name that would be a table's cell", methods("[{ name: cam, as: 'a | b' }]")),
        refused(
            "a name that is a key of the results",
            file(name, || {
                String::from_utf8(of("[cam]", ""))
                    .unwrap()
                    .replace("[drop]", "[{ name: drop, as: status }]")
                    .into_bytes()
            }),
        ),
        refused("a name of 1 MiB", file(name, || of(&format!("[{}]", "x".repeat(1 << 20)), ""))),
        refused(
            "100,000 methods of one name",
            file(name, || of(&format!("[{}]", "cam, ".repeat(100_000)), "")),
        ),
        refused("a file under a name that is not UTF-8", |folder: &Path| {
            use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
            let path = folder.join(OsStr::from_bytes(b"snow\xff.yaml"));
            fs::write(&path, of("[cmm]", "")).unwrap();
            path
        }),
    ]
}
