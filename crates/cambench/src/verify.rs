//! `cambench verify`.

use anyhow::Result;
use cam_results::{Run, counted};
use cam_runner::Verification;

use crate::{args::VerifyArgs, exit::Exit, planning::provenance, progress::Progress};

/// How many differences are printed.
const N_PRINTED: usize = 20;

pub(crate) fn verify(args: &VerifyArgs) -> Result<Exit> {
    let run = Run::read(&args.run)?;
    let n_sampled = args.sample.of(run.records().len()).max(1);
    let mut progress = Progress::new();
    let found = cam_runner::verify(&run, &provenance(), n_sampled, args.seed, &mut |event| {
        progress.on(&event);
    })?;
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
    if let Some(sentence) = blind_spot(found.n_rows, found.n_sampled) {
        println!("{sentence}");
    }
    for sentence in &found.differences {
        println!("other than when it was made: {sentence}");
    }
}

/// What a sample may not have seen.
fn blind_spot(n_rows: usize, n_sampled: usize) -> Option<String> {
    let n_others = n_rows.checked_sub(n_sampled).filter(|n| *n > 0)?;
    let missed = 0.99_f64.powf(n_sampled as f64);
    let missed =
        if missed < 0.005 { "less than 0.01".into() } else { format!("about {missed:.2}") };
    Some(format!(
        "{} checked only for what follows from the run's own rows: a change that is consistent with itself and of 1 % of the \
         rows would have been missed with probability (1 - 0.01)^{n_sampled}, {missed}",
        if n_others == 1 { "1 row was".into() } else { format!("{n_others} rows were") },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sample_can_promise_is_said_where_rows_are_left() {
        assert_eq!(blind_spot(6, 6), None);
        assert_eq!(blind_spot(0, 0), None);
        let said = blind_spot(600, 6).unwrap();
        assert!(said.starts_with("594 rows were checked only for what follows"), "{said}");
        assert!(said.ends_with("with probability (1 - 0.01)^6, about 0.94"), "{said}");
        let said = blind_spot(1001, 1000).unwrap();
        assert!(said.starts_with("1 row was checked only"), "{said}");
        assert!(said.ends_with("with probability (1 - 0.01)^1000, less than 0.01"), "{said}");
        assert!(blind_spot(6, 0).unwrap().ends_with("(1 - 0.01)^0, about 1.00"));
    }
}
