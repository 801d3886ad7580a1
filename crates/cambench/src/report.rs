//! `cambench report`.

use anyhow::Result;
use cam_results::Run;

use crate::{args::ReportArgs, exit::Exit};

pub(crate) fn report(args: &ReportArgs) -> Result<Exit> {
    let mut exit = Exit::Done;
    let formats: Vec<_> = args.format.iter().map(|format| (*format).into()).collect();
    for folder in &args.runs {
        let run = Run::read(folder)?;
        for left_out in cam_runner::publish(&run, &formats)? {
            eprintln!("{}: {left_out}", folder.display());
        }
        println!("{}", folder.display());
        if run.n_missing() > 0 {
            eprintln!("{}: {} rows are missing", folder.display(), run.n_missing());
            exit = Exit::Incomplete;
        }
    }
    Ok(exit)
}
