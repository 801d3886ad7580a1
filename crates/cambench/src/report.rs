//! `cambench report`.

use cam_results::Run;

use crate::{args::ReportArgs, exit::Exit};

pub(crate) fn report(args: &ReportArgs) -> Exit {
    let mut exit = Exit::Done;
    let formats: Vec<_> = args.format.iter().map(|format| (*format).into()).collect();
    for folder in &args.runs {
        let run = Run::read(folder);
        let run = match run.and_then(|run| Ok((cam_runner::publish(&run, &formats)?, run))) {
            Ok((left_out, run)) => {
                for sentence in left_out {
                    eprintln!("{}: {sentence}", folder.display());
                }
                run
            }
            // The other runs are worth their reports all the same.
            Err(error) => {
                eprintln!("error: {error}");
                exit = Exit::Config;
                continue;
            }
        };
        println!("{}", folder.display());
        if run.n_missing() > 0 {
            eprintln!("{}: {} rows are missing", folder.display(), run.n_missing());
            exit = if exit == Exit::Done { Exit::Incomplete } else { exit };
        }
    }
    exit
}
