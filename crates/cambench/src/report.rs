//! `cambench report`.

use anyhow::Result;
use cam_results::Run;

use crate::{
    args::{Format, ReportArgs},
    exit::Exit,
};

pub(crate) fn report(args: &ReportArgs) -> Result<Exit> {
    let mut exit = Exit::Done;
    for folder in &args.runs {
        let run = Run::read(folder)?;
        for format in &args.format {
            match format {
                Format::Md => cam_runner::publish_report(&run)?,
                Format::Csv => cam_runner::publish_summary(&run)?,
                Format::Plots => cam_runner::publish_plots(&run)?,
            }
        }
        println!("{}", folder.display());
        if run.n_missing() > 0 {
            eprintln!("{}: {} rows are missing", folder.display(), run.n_missing());
            exit = Exit::Incomplete;
        }
    }
    Ok(exit)
}
