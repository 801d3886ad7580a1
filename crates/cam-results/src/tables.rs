//! Rows as Parquet files, by way of polars.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Write},
    path::Path,
};

use polars::prelude::*;

use crate::{
    Curve, Error, Key, MetricEntry, RawMap, Record, Result, SCHEMA, Status, files::write_atomically,
};

/// How many rows of a plan become one row group: enough to compress well, few enough to hold with their maps.
pub(crate) const GROUP: usize = 256;

/// How many short rows, records or steps of a curve, are held at once.
pub(crate) const SHORT_ROWS: usize = 1 << 17;

const SCHEMA_KEY: &str = "cambench_schema";

/// Writes a Parquet file whole or not at all, one row group per frame.
///
/// `frames` yields at least one frame, of no rows where there are none.
pub(crate) fn write_parquet(
    path: &Path,
    frames: impl Iterator<Item = Result<DataFrame>>,
) -> Result<()> {
    let mut frames = frames.peekable();
    let schema = match frames.peek() {
        Some(Ok(frame)) => frame.schema().clone(),
        _ => SchemaRef::default(),
    };
    // An error of a frame is not one of the file, so it takes a way of its own around `io::Result`.
    let mut failed = None;
    let written = write_atomically(path, |file| {
        let kind = Cell::new(io::ErrorKind::Other);
        let file = Watched { file, kind: &kind };
        let into_io = |error: PolarsError| io::Error::new(kind.get(), error.to_string());
        let metadata =
            KeyValueMetadata::from_static(vec![(SCHEMA_KEY.to_owned(), SCHEMA.to_string())]);
        let mut writer = ParquetWriter::new(file)
            .with_key_value_metadata(Some(metadata))
            .batched(&schema)
            .map_err(into_io)?;
        for frame in frames {
            match frame {
                Ok(frame) => writer.write_batch(&frame).map_err(into_io)?,
                Err(error) => {
                    failed = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        writer.finish().map_err(into_io).map(drop)
    });
    failed.map_or(written, Err)
}

/// A frame as CSV; what is null is empty.
pub(crate) fn write_csv(path: &Path, frame: &mut DataFrame) -> Result<()> {
    write_atomically(path, |file| {
        let kind = Cell::new(io::ErrorKind::Other);
        let into_io = |error: PolarsError| io::Error::new(kind.get(), error.to_string());
        CsvWriter::new(Watched { file, kind: &kind }).finish(frame).map_err(into_io)
    })
}

/// Reads a Parquet file in slices of so many rows.
///
/// # Errors
/// Where it cannot be read, is damaged, was written by a newer cambench, or `visit` says what is wrong with it.
pub(crate) fn read_parquet(
    path: &Path,
    slice: usize,
    mut visit: impl FnMut(&DataFrame) -> PolarsResult<()>,
) -> Result<()> {
    let damaged =
        |error: PolarsError| Error::Damaged { path: path.to_owned(), message: error.to_string() };
    let open = || File::open(path).map_err(|source| Error::read(path, source));
    let metadata = ParquetReader::new(open()?).get_metadata().map_err(damaged)?.clone();
    let schema = metadata
        .key_value_metadata()
        .iter()
        .flatten()
        .find(|pair| pair.key == SCHEMA_KEY)
        .and_then(|pair| pair.value.as_deref()?.parse().ok());
    match schema {
        Some(found) if found > u64::from(SCHEMA) => {
            return Err(Error::Newer { path: path.to_owned(), found, supported: SCHEMA });
        }
        Some(_) => {}
        None => {
            let message = format!("its metadata has no {SCHEMA_KEY}");
            return Err(Error::Damaged { path: path.to_owned(), message });
        }
    }
    for start in (0..metadata.num_rows).step_by(slice) {
        let mut reader = ParquetReader::new(open()?).with_slice(Some((start, slice)));
        reader.set_metadata(metadata.clone());
        reader.finish().and_then(|frame| visit(&frame)).map_err(damaged)?;
    }
    Ok(())
}

/// Records as columns.
pub(crate) fn records_frame(metrics: &[MetricEntry], records: &[Record]) -> DataFrame {
    let text = |name: &str, of: fn(&Record) -> &str| {
        Column::new(name.into(), records.iter().map(of).collect::<Vec<_>>())
    };
    let integer = |name: &str, of: fn(&Record) -> Option<i64>| {
        Column::new(name.into(), records.iter().map(of).collect::<Vec<_>>())
    };
    let count = |name: &str, of: fn(&Record) -> u64| {
        Column::new(name.into(), records.iter().map(of).collect::<Vec<_>>())
    };
    let number = |name: &str, of: &dyn Fn(&Record) -> Option<f64>| {
        Column::new(name.into(), records.iter().map(of).collect::<Vec<_>>())
    };
    let mut columns = vec![
        text("model", |r| &r.model),
        text("layer", |r| &r.layer),
        text("method", |r| &r.method),
        text("protocol", |r| &r.protocol),
        text("image", |r| &r.image),
        integer("label", |r| r.label),
        integer("target", |r| r.target),
        integer("predicted", |r| r.predicted),
        number("confidence", &|r| r.confidence),
    ];
    columns.extend(
        metrics.iter().enumerate().map(|(i, metric)| number(&metric.name, &|r| r.metrics[i])),
    );
    columns.extend([
        number("adcc_per_image", &|r| r.adcc_per_image),
        number("explain_secs", &|r| Some(r.explain_secs)),
        count("forwards", |r| r.forwards),
        count("head_forwards", |r| r.head_forwards),
        count("backwards", |r| r.backwards),
        count("executed_forwards", |r| r.executed_forwards),
        text("status", |r| r.status.as_str()),
        Column::new("error".into(), records.iter().map(|r| r.error.as_deref()).collect::<Vec<_>>()),
    ]);
    DataFrame::new(records.len(), columns).expect("columns of distinct names and one length")
}

/// The inverse of [`records_frame`], onto the end of `records`.
pub(crate) fn read_records(
    frame: &DataFrame,
    metrics: &[MetricEntry],
    records: &mut Vec<Record>,
) -> PolarsResult<()> {
    let text = |name: &str| frame.column(name)?.str();
    let integer = |name: &str| frame.column(name)?.i64();
    let count = |name: &str| frame.column(name)?.u64();
    let number = |name: &str| frame.column(name)?.f64();
    let keys = Keys::of(frame)?;
    let (label, target, predicted) = (integer("label")?, integer("target")?, integer("predicted")?);
    let metrics =
        metrics.iter().map(|metric| number(&metric.name)).collect::<PolarsResult<Vec<_>>>()?;
    let (confidence, adcc, secs) =
        (number("confidence")?, number("adcc_per_image")?, number("explain_secs")?);
    let (forwards, head_forwards) = (count("forwards")?, count("head_forwards")?);
    let (backwards, executed) = (count("backwards")?, count("executed_forwards")?);
    let (status, error) = (text("status")?, text("error")?);
    for i in 0..frame.height() {
        let Key { model, layer, method, protocol, image } = keys.get(i)?;
        records.push(Record {
            model,
            layer,
            method,
            protocol,
            image,
            label: label.get(i),
            target: target.get(i),
            predicted: predicted.get(i),
            confidence: confidence.get(i),
            metrics: metrics.iter().map(|metric| metric.get(i)).collect(),
            adcc_per_image: adcc.get(i),
            explain_secs: secs.get(i).unwrap_or(f64::NAN),
            forwards: there(forwards.get(i), "forwards")?,
            head_forwards: there(head_forwards.get(i), "head_forwards")?,
            backwards: there(backwards.get(i), "backwards")?,
            executed_forwards: there(executed.get(i), "executed_forwards")?,
            status: there(status.get(i).and_then(Status::parse), "status")?,
            error: error.get(i).map(str::to_owned),
        });
    }
    Ok(())
}

/// Curves in long form: one row per step.
pub(crate) fn curves_frame(curves: &[(Key, Vec<Curve>)]) -> DataFrame {
    let steps = || {
        curves.iter().flat_map(|(key, curves)| {
            curves
                .iter()
                .flat_map(move |curve| (0..curve.values.len()).map(move |i| (key, curve, i)))
        })
    };
    let mut columns = key_columns(&steps().map(|(key, ..)| key));
    columns.extend([
        Column::new(
            "metric".into(),
            steps().map(|(_, curve, _)| curve.metric.as_str()).collect::<Vec<_>>(),
        ),
        Column::new("step".into(), steps().map(|(.., i)| i as u32).collect::<Vec<_>>()),
        Column::new(
            "n_steps".into(),
            steps().map(|(_, c, _)| (c.values.len() - 1) as u32).collect::<Vec<_>>(),
        ),
        Column::new(
            "confidence".into(),
            steps().map(|(_, curve, i)| curve.values[i]).collect::<Vec<_>>(),
        ),
    ]);
    DataFrame::new_infer_height(columns).expect("columns of distinct names and one length")
}

/// The inverse of [`curves_frame`] over the slices of a file; a curve may begin in one slice and end in a later one.
#[derive(Default)]
pub(crate) struct CurveReader {
    values: Vec<f64>,
}

impl CurveReader {
    /// Visits every curve that ends in a slice.
    pub(crate) fn read(
        &mut self,
        frame: &DataFrame,
        mut visit: impl FnMut(&Key, &Curve),
    ) -> PolarsResult<()> {
        let keys = Keys::of(frame)?;
        let (metric, confidence) =
            (frame.column("metric")?.str()?, frame.column("confidence")?.f64()?);
        let (step, n_steps) = (frame.column("step")?.u32()?, frame.column("n_steps")?.u32()?);
        for i in 0..frame.height() {
            let step = there(step.get(i), "step")? as usize;
            polars_ensure!(step == self.values.len(), ComputeError: "a curve has a gap before step {step}");
            self.values.push(there(confidence.get(i), "confidence")?);
            if n_steps.get(i) == Some(step as u32) {
                let values = std::mem::take(&mut self.values);
                let metric = there(metric.get(i), "metric")?.to_owned();
                visit(&keys.get(i)?, &Curve { metric, values });
            }
        }
        Ok(())
    }
}

/// Maps, one row each; null where there is none.
pub(crate) fn maps_frame(maps: &[(Key, Option<RawMap>)]) -> DataFrame {
    let mut columns = key_columns(&maps.iter().map(|(key, _)| key));
    let size = |name: &str, of: fn(&RawMap) -> u32| {
        Column::new(
            name.into(),
            maps.iter().map(|(_, map)| map.as_ref().map(of)).collect::<Vec<_>>(),
        )
    };
    let n_values = maps.iter().flat_map(|(_, map)| map).map(|map| map.values.len()).sum();
    let mut values = ListPrimitiveChunkedBuilder::<Float32Type>::new(
        "map".into(),
        maps.len(),
        n_values,
        DataType::Float32,
    );
    for (_, map) in maps {
        values.append_opt_slice(map.as_ref().map(|map| map.values.as_slice()));
    }
    columns.extend([
        size("height", |map| map.height),
        size("width", |map| map.width),
        values.finish().into_column(),
    ]);
    DataFrame::new(maps.len(), columns).expect("columns of distinct names and one length")
}

/// The inverse of [`maps_frame`]: visits every map.
pub(crate) fn read_maps(
    frame: &DataFrame,
    mut visit: impl FnMut(&Key, &RawMap),
) -> PolarsResult<()> {
    let keys = Keys::of(frame)?;
    let (height, width) = (frame.column("height")?.u32()?, frame.column("width")?.u32()?);
    let maps = frame.column("map")?.list()?;
    for i in 0..frame.height() {
        if let (Some(height), Some(width), Some(values)) =
            (height.get(i), width.get(i), maps.get_as_series(i))
        {
            let values = values.f32()?.into_no_null_iter().collect();
            visit(&keys.get(i)?, &RawMap { height, width, values });
        }
    }
    Ok(())
}

/// The five columns that identify a row.
struct Keys<'a>([&'a StringChunked; 5]);

const KEY: [&str; 5] = ["model", "layer", "method", "protocol", "image"];

impl<'a> Keys<'a> {
    fn of(frame: &'a DataFrame) -> PolarsResult<Self> {
        let [a, b, c, d, e] = KEY.map(|name| frame.column(name)?.str());
        Ok(Self([a?, b?, c?, d?, e?]))
    }

    fn get(&self, i: usize) -> PolarsResult<Key> {
        let [a, b, c, d, e] =
            self.0.map(|column| there(column.get(i), column.name()).map(str::to_owned));
        Ok(Key { model: a?, layer: b?, method: c?, protocol: d?, image: e? })
    }
}

fn key_columns<'a>(keys: &(impl Iterator<Item = &'a Key> + Clone)) -> Vec<Column> {
    let of: [fn(&Key) -> &str; 5] = [
        |key| &key.model,
        |key| &key.layer,
        |key| &key.method,
        |key| &key.protocol,
        |key| &key.image,
    ];
    KEY.iter()
        .zip(of)
        .map(|(name, of)| Column::new((*name).into(), keys.clone().map(of).collect::<Vec<_>>()))
        .collect()
}

fn there<T>(value: Option<T>, column: &str) -> PolarsResult<T> {
    value.ok_or_else(|| polars_err!(ComputeError: "the column {column} lacks a value"))
}

/// Remembers what kind of error a file had: polars keeps only the text of it.
struct Watched<'a, W> {
    file: W,
    kind: &'a Cell<io::ErrorKind>,
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).inspect_err(|error| self.kind.set(error.kind()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().inspect_err(|error| self.kind.set(error.kind()))
    }
}
