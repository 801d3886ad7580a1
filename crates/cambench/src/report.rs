//! `cambench report`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cam_results::{Preset, Run, counted, table_md, table_tex, write_bytes};
use clap::Parser as _;

use crate::{
    args::{Format, ReportArgs},
    exit::{Exit, Usage},
};

pub(crate) fn report(args: &ReportArgs) -> Result<Exit> {
    if let Some(file) = &args.splice {
        return splice(file);
    }
    let mut runs = vec![];
    for folder in &args.runs {
        runs.push(Run::read(folder)?);
    }
    let run = Run::join(runs);
    if let Some(table) = args.table {
        print!("{}", printed(&run, table.into(), args.format.as_deref())?);
        return Ok(ended(&run));
    }
    let folder = match (&args.out, &args.runs[..]) {
        (Some(out), _) => out.clone(),
        (None, [folder]) => folder.clone(),
        (None, _) => PathBuf::from("report"),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let formats: Vec<cam_runner::Format> = args.format.as_ref().map_or_else(
        || cam_runner::Format::ALL.to_vec(),
        |formats| formats.iter().map(|format| (*format).into()).collect(),
    );
    let photographs = !args.no_photographs;
    let notes = cam_runner::publish(&run, &run.summarize(), &folder, &formats, photographs)?;
    for sentence in notes.iter().chain(run.cautions()) {
        eprintln!("{}: {sentence}", folder.display());
    }
    println!("{}", folder.display());
    Ok(ended(&run))
}

fn ended(run: &Run) -> Exit {
    if run.n_missing() == 0 {
        return Exit::Done;
    }
    eprintln!("{}: {} rows are missing", run.folder().display(), run.n_missing());
    Exit::Incomplete
}

/// A table alone: Markdown, or LaTeX where that is asked for.
fn printed(run: &Run, preset: Preset, formats: Option<&[Format]>) -> Result<String> {
    let (manifest, summary) = (run.manifest(), run.summarize());
    match formats {
        None | Some([Format::Md]) => Ok(table_md(manifest, &summary, preset)),
        Some([Format::Tex]) => Ok(table_tex(manifest, &summary, preset)),
        Some(_) => Err(Usage("--table prints md or tex".into()).into()),
    }
}

const BEGIN: &str = "<!-- begin cambench report ";
const END: &str = "<!-- end cambench report -->";

/// Writes the table of every `<!-- begin cambench report RUN... -->` in a file between it and its end.
fn splice(file: &Path) -> Result<Exit> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut exit = Exit::Done;
    let (mut new, mut n) = (String::new(), 0);
    let mut lines = text.lines();
    let beside = file.parent().unwrap_or(Path::new(""));
    while let Some(line) = lines.next() {
        new.push_str(line);
        new.push('\n');
        let Some(command) =
            line.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        lines.by_ref().find(|line| line.trim() == END).ok_or_else(|| {
            Usage(format!("{}: `{}` is never followed by `{END}`", file.display(), line.trim()))
        })?;
        let words = ["report"].into_iter().chain(command.split_whitespace());
        let args = Spliced::try_parse_from(words).map_err(|error| {
            Usage(format!("{}: `{}`: {}", file.display(), line.trim(), error.render()))
        })?;
        let read = |folder: &PathBuf| {
            Run::read(&cam_runner::locate(folder, beside))
                .with_context(|| format!("{}: `{}`", file.display(), line.trim()))
        };
        let run = Run::join(args.runs.iter().map(read).collect::<Result<_>>()?);
        if ended(&run) == Exit::Incomplete {
            exit = Exit::Incomplete;
        }
        let table = table_md(run.manifest(), &run.summarize(), args.table.into());
        // The empty lines are part of it: Markdown ends an HTML comment's block only there.
        new.extend(["\n", table.trim_end(), "\n\n", END, "\n"]);
        n += 1;
    }
    if n == 0 {
        let message = format!("{} has no line `{BEGIN}RUN... [--table NAME] -->`", file.display());
        return Err(Usage(message).into());
    }
    if new != text {
        write_bytes(file, new.as_bytes())?;
    }
    eprintln!(
        "{}: {} {}",
        file.display(),
        counted(n, "table"),
        if new == text { "unchanged" } else { "written" }
    );
    Ok(exit)
}

/// What may stand in a marker.
#[derive(clap::Parser)]
struct Spliced {
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "all")]
    table: crate::args::Table,
}
