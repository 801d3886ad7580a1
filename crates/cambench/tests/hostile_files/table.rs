//! The cases as a table, and the law that all of them keep.

use std::{
    env,
    fmt::Write as _,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{allocator::peak_during, loaders::Answer};

/// All cases of one loader.
pub(crate) struct Section {
    /// What is read.
    pub(crate) title: &'static str,
    pub(crate) load: fn(&Path) -> Answer,
    /// The most that Rust code may hold at once, in MiB.
    pub(crate) limit: usize,
    pub(crate) cases: Vec<Case>,
}

/// A hostile file, or several of one kind, which get the same.
pub(crate) struct Case {
    pub(crate) input: String,
    pub(crate) gets: Gets,
    pub(crate) make: Make,
}

/// Makes files in an empty folder.
type Make = Box<dyn Fn(&Path) -> Vec<PathBuf>>;

/// What a case gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gets {
    /// An error that names the file.
    Refused,
    /// What it is: nothing is wrong with it.
    Read,
}

/// A case that is refused.
pub(crate) fn refused(input: &str, make: impl Fn(&Path) -> PathBuf + 'static) -> Case {
    case(input, Gets::Refused, make)
}

/// A case that is read as what it is.
pub(crate) fn read(input: &str, make: impl Fn(&Path) -> PathBuf + 'static) -> Case {
    case(input, Gets::Read, make)
}

fn case(input: &str, gets: Gets, make: impl Fn(&Path) -> PathBuf + 'static) -> Case {
    Case { input: input.to_owned(), gets, make: Box::new(move |folder| vec![make(folder)]) }
}

/// Many files of one kind, all of which are refused.
pub(crate) fn all_refused(input: &str, make: impl Fn(&Path) -> Vec<PathBuf> + 'static) -> Case {
    Case { input: input.to_owned(), gets: Gets::Refused, make: Box::new(make) }
}

/// Makes one file of a folder.
pub(crate) fn file(
    name: &'static str,
    bytes: impl Fn() -> Vec<u8> + 'static,
) -> impl Fn(&Path) -> PathBuf + 'static {
    move |folder| {
        let path = folder.join(name);
        fs::write(&path, bytes()).unwrap();
        path
    }
}

/// How long one file may take: so many times a tenth of a second in which this process was running.
const MAX_TICKS: usize = 100;
const TICK: Duration = Duration::from_millis(100);

const PATH: &str = "results/hostile/cases.md";

/// Loads every case, and compares what each got with the table. `INSTA_UPDATE=always` writes it, as it does every other
/// golden file.
pub(crate) fn check(sections: &[Section]) {
    let mut wrong = vec![];
    let mut table = head(sections);
    for section in sections {
        let limit = section.limit;
        write!(
            table,
            "\n## {}\n\nAt most {limit} MiB.\n\n| Input | Got |\n| --- | --- |\n",
            section.title
        )
        .unwrap();
        for case in &section.cases {
            let got = got(section, case).unwrap_or_else(|problem| {
                wrong.push(format!("{}, {}: {problem}", section.title, case.input));
                problem
            });
            writeln!(table, "| {} | {} |", cell(&case.input), cell(&got)).unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PATH);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    for (found, expected) in table.lines().zip(written.lines()) {
        assert_eq!(found, expected, "{PATH}; INSTA_UPDATE=always writes it");
    }
    assert_eq!(
        table.lines().count(),
        written.lines().count(),
        "{PATH}; INSTA_UPDATE=always writes it"
    );
}

/// What stands before the cases: how many there are.
fn head(sections: &[Section]) -> String {
    let mut head = "\
# Hostile files, and what each got

Written by `INSTA_UPDATE=always cargo test --release --workspace --test hostile_files` from the cases in
`crates/cambench/tests/hostile_files`. Every case is loaded, whatever is read of it is used, and nothing may panic, take longer than
ten seconds, or hold more memory than is stated with its loader (counted by the allocator for Rust code; the whole process,
libtorch included, may take 3 GiB of address space). A refusal names the file. Paths begin with `…`.

## In short

| Loader | Cases | Refused | Read as what they are | MiB at most |
| --- | ---: | ---: | ---: | ---: |
"
    .to_owned();
    for Section { title, limit, cases, .. } in sections {
        let count = |gets| cases.iter().filter(|case| case.gets == gets).count();
        let (n, refused, read) = (cases.len(), count(Gets::Refused), count(Gets::Read));
        writeln!(head, "| {title} | {n} | {refused} | {read} | {limit} |").unwrap();
    }
    head
}

/// What a case got; an error is about the law.
fn got(section: &Section, case: &Case) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let paths = (case.make)(folder.path());
    let name = folder.path().to_str().unwrap().to_owned();
    let mut last = String::new();
    for path in &paths {
        let answer = on_time(section.load, path.clone(), section.limit << 20)?;
        // Of a name that is refused there is no file.
        let is_of_name = |text: &str| text.starts_with("a baseline cannot be called");
        let named = |text: &str| text.contains(&name) || is_of_name(text);
        last = match answer {
            Ok(read) if case.gets == Gets::Read => format!("read: {read}"),
            Err(error) if case.gets == Gets::Refused && named(&error) => error,
            Err(error) if case.gets == Gets::Refused => {
                return Err(format!("the error does not name the file: {error}"));
            }
            other => return Err(format!("{} got {other:?}", path.display())),
        };
    }
    let last = without_hashes(&last.replace(&name, "…"));
    Ok(if paths.len() > 1 { format!("all {}, the last: {last}", paths.len()) } else { last })
}

/// Text without hashes, which another version of a library would move.
fn without_hashes(text: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let part = |part: &str| {
        let word = part.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if is_hash(word) { part.replace(word, "(a hash)") } else { part.to_owned() }
    };
    text.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

/// What a loader says, in time and within its memory.
fn on_time(load: fn(&Path) -> Answer, path: PathBuf, limit: usize) -> Result<Answer, String> {
    let (sender, receiver) = mpsc::channel();
    let shown = path.display().to_string();
    thread::spawn(move || {
        let (answer, peak) = peak_during(|| catch_unwind(AssertUnwindSafe(|| load(&path))));
        let _ = sender.send((answer, peak));
    });
    for _ in 0..MAX_TICKS {
        match receiver.recv_timeout(TICK) {
            Ok((Ok(answer), peak)) if peak <= limit => return Ok(answer),
            Ok((Ok(answer), peak)) => {
                return Err(format!("{shown} took {} MiB, and got {answer:?}", peak >> 20));
            }
            Ok((Err(_), _)) => return Err(format!("{shown} made its loader panic")),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("{shown} is not done after {} s", MAX_TICKS / 10))
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;");
    let text: String = text
        .chars()
        .flat_map(|letter| {
            let shown = if letter.is_control() {
                letter.escape_default().to_string()
            } else {
                letter.to_string()
            };
            shown.chars().collect::<Vec<_>>()
        })
        .collect();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
