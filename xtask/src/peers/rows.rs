//! The raw measurements: one row a turn, on the disk before the next one.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::jobs::Contender;

/// One turn of one contender.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) job: String,
    pub(super) model: String,
    pub(super) peer: String,
    pub(super) variant: String,
    /// Counted from 1.
    pub(super) round: u32,
    /// Mean of the turn's runs.
    pub(super) secs: f64,
    /// The largest difference of its numbers from those of ours in `f32`.
    pub(super) difference: Option<f64>,
}

/// A contender that could not do a job. It is in no file: the next run asks it again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) job: &'static str,
    pub(super) model: String,
    pub(super) contender: Contender,
    pub(super) reason: String,
}

const HEADER: &str = "job,model,peer,variant,round,secs,difference";

/// The file of rows, and what it holds.
pub(super) struct Rows {
    path: PathBuf,
    all: Vec<Row>,
}

impl Rows {
    /// Opens the file, or begins one. A line that was cut off by the end of an earlier run is dropped.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let context = || format!("reading {}", path.display());
        let text = if path.exists() {
            fs::read_to_string(path).with_context(context)?
        } else {
            String::new()
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines().zip(1..);
        let mut all = Vec::new();
        match lines.next() {
            None => {}
            Some((HEADER, _)) => {
                for (line, number) in lines {
                    all.push(parse(line).with_context(|| {
                        format!("{}:{number}: `{line}` is no row of {HEADER}", path.display())
                    })?);
                }
            }
            Some((line, _)) => {
                anyhow::bail!("{} begins with `{line}` and not with {HEADER}", path.display())
            }
        }
        let kept = if whole.is_empty() { format!("{HEADER}\n") } else { whole.to_owned() };
        if kept != text {
            fs::write(path, kept).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(Self { path: path.to_owned(), all })
    }

    /// Everything that was measured.
    pub(super) fn all(&self) -> &[Row] {
        &self.all
    }

    /// Writes a row and keeps it.
    pub(super) fn append(&mut self, row: Row) -> Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .with_context(|| format!("opening {}", self.path.display()))?;
        let Row { job, model, peer, variant, round, secs, difference } = &row;
        let difference = difference.map_or(String::new(), |difference| format!("{difference:.1e}"));
        writeln!(file, "{job},{model},{peer},{variant},{round},{secs:.7},{difference}")
            .and_then(|()| file.sync_data())
            .with_context(|| format!("writing {}", self.path.display()))?;
        self.all.push(row);
        Ok(())
    }
}

fn parse(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let [job, model, peer, variant, round, secs, difference] = fields[..] else { return None };
    let difference = match difference {
        "" => None,
        text => Some(text.parse().ok()?),
    };
    let secs: f64 = secs.parse().ok().filter(|secs: &f64| secs.is_finite() && *secs > 0.0)?;
    Some(Row {
        job: job.to_owned(),
        model: model.to_owned(),
        peer: peer.to_owned(),
        variant: variant.to_owned(),
        round: round.parse().ok()?,
        secs,
        difference,
    })
}

/// The middle of some numbers; of an even count the mean of the middle two.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(round: u32, secs: f64) -> Row {
        let [job, model, peer, variant] =
            ["cam", "resnet50", "torch-cam", "stock"].map(str::to_owned);
        Row { job, model, peer, variant, round, secs, difference: Some(0.5).filter(|_| round > 1) }
    }

    #[test]
    fn a_killed_run_keeps_its_rows_and_goes_on_behind_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.csv");
        let mut rows = Rows::open(&path).unwrap();
        rows.append(row(1, 0.5)).unwrap();
        rows.append(row(2, 0.25)).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}cam,resnet50,torch-c")).unwrap();

        let mut again = Rows::open(&path).unwrap();
        assert_eq!(again.all(), [row(1, 0.5), row(2, 0.25)]);
        again.append(row(3, 0.125)).unwrap();
        assert_eq!(Rows::open(&path).unwrap().all().len(), 3);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{whole}cam,resnet50,torch-cam,stock,3,0.1250000,5.0e-1\n")
        );
    }

    #[test]
    fn a_line_that_is_no_row_is_named_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.csv");
        for wrong in
            ["cam,resnet50,torch-cam,stock,1", "a,b,c,d,1,-1,", "a,b,c,d,1,NaN,", "a,b,c,d,1,1,x"]
        {
            fs::write(&path, format!("{HEADER}\n{wrong}\n")).unwrap();
            let error = format!("{:#}", Rows::open(&path).err().unwrap());
            assert!(error.contains("peers.csv:2") && error.contains(wrong), "{error}");
        }
        fs::write(&path, "something else\n").unwrap();
        assert!(Rows::open(&path).is_err());
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }
}
