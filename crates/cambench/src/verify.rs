//! `cambench verify`.

use anyhow::Result;
use cam_results::{Run, counted};
use cam_runner::Verification;

use crate::{args::VerifyArgs, exit::Exit, progress::Progress};

/// How many differences are printed.
const N_PRINTED: usize = 20;

pub(crate) fn verify(args: &VerifyArgs) -> Result<Exit> {
    let run = Run::read(&args.run)?;
    let n_sampled = args.sample.of(run.records().len()).max(1);
    let mut progress = Progress::new();
    let found = cam_runner::verify(&run, n_sampled, args.seed, &mut |event| progress.on(&event))?;
    progress.finish();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print(&found);
    }
    Ok(if found.mismatches.is_empty() { Exit::Done } else { Exit::Verification })
}

fn print(found: &Verification) {
    for mismatch in found.mismatches.iter().take(N_PRINTED) {
        println!("{mismatch}");
    }
    if found.mismatches.len() > N_PRINTED {
        println!("and {} more", found.mismatches.len() - N_PRINTED);
    }
    let how = if found.is_exact { "bit for bit" } else { "to within rounding" };
    println!(
        "{} rows checked, {} of them computed again and compared {how}: {}",
        found.n_rows,
        found.n_sampled,
        counted(found.mismatches.len(), "difference")
    );
    for sentence in &found.differences {
        println!("other than when it was made: {sentence}");
    }
}
