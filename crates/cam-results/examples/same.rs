//! Compares two runs bit for bit, in all but the times: `same RUN RUN`. Says the first difference, with exit code 1.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::{env, path::Path, process::ExitCode};

use cam_results::{Result, Run};

fn main() -> ExitCode {
    let folders: Vec<String> = env::args().skip(1).collect();
    let [a, b] = &folders[..] else {
        eprintln!("give two folders of runs");
        return ExitCode::from(2);
    };
    match compared(Path::new(a), Path::new(b)) {
        Ok(Ok(n_rows)) => {
            println!("{n_rows} rows are the same");
            ExitCode::SUCCESS
        }
        Ok(Err(difference)) => {
            println!("{difference}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

/// How many rows two finished runs share, or the first difference.
fn compared(a: &Path, b: &Path) -> Result<std::result::Result<usize, String>> {
    let (a, b) = (contents(a)?, contents(b)?);
    if let Some((a, b)) = a.iter().zip(&b).find(|(a, b)| a != b) {
        return Ok(Err(format!("- {a}\n+ {b}")));
    }
    Ok(if a.len() == b.len() {
        Ok(a.iter().filter(|line| line.starts_with("Record")).count())
    } else {
        Err(format!("{} and {} records, curves and maps", a.len(), b.len()))
    })
}

/// Every record, curve and map, one a line. Bits are shown by their shortest decimal number, which is theirs alone.
fn contents(folder: &Path) -> Result<Vec<String>> {
    let run = Run::read(folder)?;
    let mut lines = vec![format!("{} rows are missing", run.n_missing())];
    for record in run.records() {
        let mut record = record.clone();
        record.explain_secs = 0.0;
        lines.push(format!("{record:?}"));
    }
    run.visit_curves(|key, curve| lines.push(format!("{key}: {curve:?}")))?;
    run.visit_maps(|key, map| lines.push(format!("{key}: {map:?}")))?;
    Ok(lines)
}
