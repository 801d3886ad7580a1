//! Rows as Parquet files, by way of polars.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use polars::prelude::*;
use polars_arrow::array::{ArrayRef, DictionaryArray, PrimitiveArray, Utf8ViewArray};
use polars_parquet::read::RowGroupMetadata;
use polars_parquet::write::{
    CompressedPage, CompressionOptions, DynIter, DynStreamingIterator, Encoding, FileWriter,
    KeyValue, ParquetType, StatisticsOptions, Version, WriteOptions, array_to_columns, compress,
    fallible_streaming_iterator, get_dtype_encoding, schema_to_metadata_key, to_parquet_type,
};
use polars_parquet_format::{FileMetaData, PageHeader, thrift::protocol::TCompactInputProtocol};

use crate::{
    Curve, Error, Key, MetricEntry, RawMap, Record, Result, Row, SCHEMA, Status,
    files::{self, NewFile, write_atomically},
    record::Names,
};

/// How many maps are read at once.
pub(crate) const MAPS: usize = 256;

/// How many short rows, records or steps of a curve, are held at once.
pub(crate) const SHORT_ROWS: usize = 1 << 17;

/// The most bytes that the pages of a row group may claim: as many as maps of [`MAX_VALUES`] take.
const MAX_BYTES: u64 = 4 * MAX_VALUES;

/// The most bytes of a page's header, which holds a lowest and a highest value.
const MAX_PAGE_HEADER: usize = 16 << 20;

/// The most numbers of maps in a row group that is read: four maps of 4096 x 4096.
const MAX_VALUES: u64 = 64 << 20;

const SCHEMA_KEY: &str = "cambench_schema";

const OPTIONS: WriteOptions = WriteOptions {
    statistics: StatisticsOptions {
        min_value: true,
        max_value: true,
        distinct_count: false,
        null_count: true,
        binary_statistics_truncate_length: None,
    },
    version: Version::V1,
    compression: CompressionOptions::Zstd(None),
    data_page_size: None,
};

/// The columns of a Parquet file, and how they are encoded.
///
/// Encoding and compressing is most of the work, and can be done on any thread; a [`TableWriter`] has only to write.
#[derive(Debug)]
pub(crate) struct Layout {
    schema: ArrowSchema,
    types: Vec<ParquetType>,
    encodings: Vec<Vec<Encoding>>,
}

/// A row group as it will stand in the file.
pub(crate) struct RowGroup {
    n_rows: usize,
    columns: Vec<Vec<CompressedPage>>,
}

impl Layout {
    fn of(schema: &Schema) -> Self {
        let schema = schema.to_arrow(CompatLevel::newest());
        let fields = || schema.iter_values();
        Self {
            types: fields()
                .map(|field| to_parquet_type(field).expect("a type that Parquet has"))
                .collect(),
            encodings: fields().map(|field| get_dtype_encoding(&field.dtype)).collect(),
            schema,
        }
    }

    pub(crate) fn of_records(metrics: &[MetricEntry]) -> Self {
        Self::of(records_frame(metrics, &[]).schema())
    }

    pub(crate) fn of_curves() -> Self {
        let numbers = [("step", DataType::UInt32), ("n_steps", DataType::UInt32)];
        let text = KEY.into_iter().chain(["metric"]).map(|name| (name, DataType::String));
        let columns = text.chain(numbers).chain([("confidence", DataType::Float64)]);
        let schema = columns.map(|(name, kind)| Field::new(name.into(), kind)).collect();
        let mut layout = Self::of(&schema);
        // No confidence comes again, so that looking for those that do is in vain.
        *layout.encodings.last_mut().expect("the confidence") = vec![Encoding::Plain];
        layout
    }

    pub(crate) fn of_maps() -> Self {
        Self::of(maps_frame(&[]).schema())
    }

    pub(crate) fn encode_records(&self, metrics: &[MetricEntry], records: &[Record]) -> RowGroup {
        self.encode_frame(&records_frame(metrics, records))
    }

    pub(crate) fn encode_curves(&self, rows: &[Row]) -> RowGroup {
        self.encode(curves_columns(rows))
    }

    pub(crate) fn encode_maps(&self, rows: &[Row]) -> RowGroup {
        self.encode_frame(&maps_frame(rows))
    }

    fn encode_frame(&self, frame: &DataFrame) -> RowGroup {
        let columns = frame.columns().iter();
        let arrow = |column: &Column| column.clone().rechunk_to_arrow(CompatLevel::newest());
        self.encode(columns.map(arrow).collect())
    }

    fn encode(&self, columns: Vec<ArrayRef>) -> RowGroup {
        let n_rows = columns.first().map_or(0, |column| column.len());
        if n_rows == 0 {
            return RowGroup { n_rows, columns: vec![] };
        }
        let columns = columns.into_iter().zip(&self.types).zip(&self.encodings);
        let encoded = columns.map(|((column, kind), encodings)| -> PolarsResult<Vec<_>> {
            let mut leaves = array_to_columns(column, kind.clone(), OPTIONS, encodings)?;
            // None of our columns has several values within one.
            let pages = leaves.swap_remove(0);
            pages.map(|page| Ok(compress(page?, vec![], OPTIONS.compression)?)).collect()
        });
        let columns = encoded.collect::<PolarsResult<_>>().expect("columns of the layout's types");
        RowGroup { n_rows, columns }
    }
}

/// A Parquet file while it is being written: it appears whole or not at all.
pub(crate) struct TableWriter {
    path: PathBuf,
    file: FileWriter<Watched<NewFile>>,
    failed: Arc<OnceLock<io::ErrorKind>>,
}

impl TableWriter {
    pub(crate) fn create(path: &Path, layout: &Layout) -> Result<Self> {
        let failed = Arc::default();
        let file = NewFile::create(path).map_err(|source| Error::write(path, source))?;
        let file = Watched { file, failed: Arc::clone(&failed) };
        let file = FileWriter::try_new(file, layout.schema.clone(), OPTIONS)
            .expect("types that Parquet has");
        Ok(Self { path: path.to_owned(), file, failed })
    }

    /// Writes rows behind those that are there.
    pub(crate) fn write(&mut self, group: &RowGroup) -> Result<()> {
        if group.n_rows == 0 {
            return Ok(());
        }
        let columns = group.columns.iter().map(|pages| {
            let pages = fallible_streaming_iterator::convert(pages.iter().map(PolarsResult::Ok));
            Ok(DynStreamingIterator::new(pages))
        });
        let written = self.file.write(group.n_rows as u64, DynIter::new(columns));
        written.map_err(|error| self.failed(&error))
    }

    /// Completes the file, which is there for good when this returns.
    pub(crate) fn finish(mut self) -> Result<()> {
        let schema = schema_to_metadata_key(self.file.schema());
        let ours = KeyValue { key: SCHEMA_KEY.to_owned(), value: Some(SCHEMA.to_string()) };
        self.file.end(Some(vec![schema, ours])).map_err(|error| self.failed(&error))?;
        let Self { path, file, .. } = self;
        file.into_inner().file.finish().map_err(|source| Error::write(path, source))
    }

    fn failed(&self, error: &PolarsError) -> Error {
        let kind = self.failed.get().copied().unwrap_or(io::ErrorKind::Other);
        Error::write(&self.path, io::Error::new(kind, error.to_string()))
    }
}

/// A frame as CSV; what is null is empty.
pub(crate) fn write_csv(path: &Path, frame: &mut DataFrame) -> Result<()> {
    write_atomically(path, |file| {
        let failed = Arc::default();
        let mut watched = Watched { file, failed: Arc::clone(&failed) };
        CsvWriter::new(&mut watched).finish(frame).map_err(|error| {
            let kind = failed.get().copied().unwrap_or(io::ErrorKind::Other);
            io::Error::new(kind, error.to_string())
        })
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
    let open = || files::open(path).map_err(|source| Error::read(path, source));
    let file = open()?;
    check_footer(&file).map_err(damaged)?;
    let metadata =
        without_panic(|| ParquetReader::new(BufReader::new(&file)).get_metadata().cloned());
    let metadata = metadata.map_err(damaged)?;
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
    let mut start = 0;
    for group in &metadata.row_groups {
        check_pages(&file, group).map_err(damaged)?;
        let end = start + group.num_rows();
        for at in (start..end).step_by(slice) {
            let rows = (at, slice.min(end - at));
            let mut reader = ParquetReader::new(open()?).with_slice(Some(rows));
            reader.set_metadata(metadata.clone());
            let frame = without_panic(|| reader.finish()).map_err(damaged)?;
            check_lengths(&frame).and_then(|()| visit(&frame)).map_err(damaged)?;
        }
        start = end;
    }
    Ok(())
}

/// Whether the lists of the footer are as long as they claim: polars makes room for what a list claims before it reads it.
fn check_footer(mut file: &File) -> PolarsResult<()> {
    const MAGIC: &[u8; 4] = b"PAR1";
    let n_bytes = file.seek(SeekFrom::End(0))?;
    let is_long_enough = n_bytes >= 12;
    polars_ensure!(is_long_enough, ComputeError: "a Parquet file is longer than {n_bytes} bytes");
    file.seek(SeekFrom::End(-8))?;
    let mut end = [0; 8];
    file.read_exact(&mut end)?;
    let [length, magic] = [&end[..4], &end[4..]];
    polars_ensure!(magic == MAGIC, ComputeError: "its end is not that of a Parquet file");
    let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
    polars_ensure!(
        u64::from(length) <= n_bytes - 12,
        ComputeError: "its footer is longer than the file"
    );
    file.seek(SeekFrom::End(-8 - i64::from(length)))?;
    let mut footer = vec![0; length as usize];
    file.read_exact(&mut footer)?;
    // An element takes a byte of the footer at least, and is counted as a word here; text as its bytes.
    let most = footer.len() * (size_of::<usize>() + 1);
    let mut protocol = TCompactInputProtocol::new(&footer[..], most);
    FileMetaData::read_from_in_protocol(&mut protocol)
        .map_err(|error| polars_err!(ComputeError: "its footer: {error}"))?;
    Ok(())
}

/// Whether the pages of a row group hold as many values as it has rows, and no more than a table of ours has: polars makes
/// room for as many as a page claims. Only the pages' headers are read.
fn check_pages(file: &File, group: &RowGroupMetadata) -> PolarsResult<()> {
    let mut reader = BufReader::new(file);
    let mut n_bytes = 0;
    for column in group.parquet_columns() {
        let is_flat = column.descriptor().descriptor.max_rep_level == 0;
        let most = if is_flat { group.num_rows() as u64 } else { MAX_VALUES };
        let Range { start, end } = column.byte_range();
        let (mut at, mut n_values) = (start, 0);
        while at < end {
            reader.seek(SeekFrom::Start(at))?;
            let mut protocol = TCompactInputProtocol::new(&mut reader, MAX_PAGE_HEADER);
            let header = PageHeader::read_from_in_protocol(&mut protocol)
                .map_err(|error| polars_err!(ComputeError: "a page's header: {error}"))?;
            let data = header.data_page_header.map(|data| data.num_values);
            let data = data.or(header.data_page_header_v2.map(|data| data.num_values));
            n_values += claimed(data.unwrap_or(0))?;
            let words = header.dictionary_page_header.map_or(0, |words| words.num_values);
            n_bytes += claimed(header.uncompressed_page_size)?.max(claimed(words)?);
            polars_ensure!(n_bytes <= MAX_BYTES, ComputeError: "pages claim more than {MAX_BYTES} bytes");
            polars_ensure!(n_values <= most, ComputeError: "a column claims more than {most} values");
            at = reader.stream_position()? + claimed(header.compressed_page_size)?;
        }
        polars_ensure!(
            !is_flat || n_values == most,
            ComputeError: "a column has {n_values} values for {most} rows"
        );
    }
    Ok(())
}

fn claimed(n: i32) -> PolarsResult<u64> {
    u64::try_from(n)
        .map_err(|_negative| polars_err!(ComputeError: "a page claims {n} of something"))
}

/// polars believes a file's own word for how long its columns are.
fn check_lengths(frame: &DataFrame) -> PolarsResult<()> {
    for column in frame.columns() {
        polars_ensure!(
            column.len() == frame.height(),
            ComputeError: "the column {} has {} of {} values", column.name(), column.len(), frame.height()
        );
    }
    Ok(())
}

/// A reader's answer, with a panic inside it as an error: the bytes come from anywhere.
fn without_panic<T>(read: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_panic| {
        Err(polars_err!(ComputeError: "the reader gave up on its content"))
    })
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
    names: &mut Names,
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
        let [model, layer, method, protocol, image] = keys.names(i)?;
        records.push(Record {
            model: names.get(model),
            layer: names.get(layer),
            method: names.get(method),
            protocol: names.get(protocol),
            image: names.get(image),
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
fn curves_columns(rows: &[Row]) -> Vec<ArrayRef> {
    let curves =
        || rows.iter().flat_map(|row| row.curves.iter().map(move |curve| (&row.record, curve)));
    let n = |curve: &Curve| curve.values.len();
    let mut columns: Vec<ArrayRef> = KEY_PARTS
        .iter()
        .map(|of| words(curves().map(|(record, curve)| (of(record), n(curve)))))
        .collect();
    let step = curves().flat_map(|(_, curve)| 0..n(curve) as u32);
    let last = curves()
        .flat_map(|(_, curve)| std::iter::repeat_n(n(curve).saturating_sub(1) as u32, n(curve)));
    let confidence = curves().flat_map(|(_, curve)| curve.values.iter().copied());
    columns.extend([
        words(curves().map(|(_, curve)| (curve.metric.as_str(), n(curve)))),
        PrimitiveArray::from_vec(step.collect()).boxed(),
        PrimitiveArray::from_vec(last.collect()).boxed(),
        PrimitiveArray::from_vec(confidence.collect()).boxed(),
    ]);
    columns
}

/// A column of text from runs of one word, in which every word stands once: rows of a key come by the dozen, and
/// comparing each with the others would take longer than all else.
fn words<'a>(runs: impl Iterator<Item = (&'a str, usize)>) -> ArrayRef {
    let (mut words, mut keys, mut places) = (vec![], vec![], HashMap::new());
    for (word, n) in runs {
        let place = *places.entry(word).or_insert_with(|| {
            words.push(word);
            words.len() as u32 - 1
        });
        keys.resize(keys.len() + n, place);
    }
    let words = Utf8ViewArray::from_slice_values(words).boxed();
    DictionaryArray::try_from_keys(PrimitiveArray::from_vec(keys), words, false)
        .expect("keys that are places of words")
        .boxed()
}

/// The inverse of [`curves_columns`] over the slices of a file; a curve may begin in one slice and end in a later one.
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
fn maps_frame(rows: &[Row]) -> DataFrame {
    let records: Vec<&Record> = rows.iter().map(|row| &row.record).collect();
    let mut columns: Vec<Column> = KEY
        .iter()
        .zip(KEY_PARTS)
        .map(|(name, of)| {
            Column::new((*name).into(), records.iter().map(|row| of(row)).collect::<Vec<_>>())
        })
        .collect();
    let size = |name: &str, of: fn(&RawMap) -> u32| {
        Column::new(
            name.into(),
            rows.iter().map(|row| row.map.as_ref().map(of)).collect::<Vec<_>>(),
        )
    };
    let n_values = rows.iter().flat_map(|row| &row.map).map(|map| map.values.len()).sum();
    let mut values = ListPrimitiveChunkedBuilder::<Float32Type>::new(
        "map".into(),
        rows.len(),
        n_values,
        DataType::Float32,
    );
    for row in rows {
        values.append_opt_slice(row.map.as_ref().map(|map| map.values.as_slice()));
    }
    columns.extend([
        size("height", |map| map.height),
        size("width", |map| map.width),
        values.finish().into_column(),
    ]);
    DataFrame::new(rows.len(), columns).expect("columns of distinct names and one length")
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
            let values: Vec<f32> = values.f32()?.iter().flatten().collect();
            let n_pixels = u64::from(height) * u64::from(width);
            polars_ensure!(
                values.len() as u64 == n_pixels,
                ComputeError: "a map of {height} x {width} has {} numbers", values.len()
            );
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

    fn names(&self, i: usize) -> PolarsResult<[&'a str; 5]> {
        let [a, b, c, d, e] = self.0.map(|column| there(column.get(i), column.name()));
        Ok([a?, b?, c?, d?, e?])
    }

    fn get(&self, i: usize) -> PolarsResult<Key> {
        let [model, layer, method, protocol, image] = self.names(i)?.map(str::to_owned);
        Ok(Key { model, layer, method, protocol, image })
    }
}

const KEY_PARTS: [fn(&Record) -> &str; 5] = [
    |record| &record.model,
    |record| &record.layer,
    |record| &record.method,
    |record| &record.protocol,
    |record| &record.image,
];

fn there<T>(value: Option<T>, column: &str) -> PolarsResult<T> {
    value.ok_or_else(|| polars_err!(ComputeError: "the column {column} lacks a value"))
}

/// Remembers what kind of error a file had: polars keeps only the text of it.
struct Watched<W> {
    file: W,
    failed: Arc<OnceLock<io::ErrorKind>>,
}

impl<W: Write> Watched<W> {
    fn watch<T>(&mut self, act: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.file).inspect_err(|error| {
            // The first error is the one to report.
            let _ = self.failed.set(error.kind());
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.watch(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.watch(W::flush)
    }
}

/// Writes a frame as a table of its own.
#[cfg(test)]
pub(crate) fn write_parquet(path: &Path, frame: &DataFrame) -> Result<()> {
    let layout = Layout::of(frame.schema());
    let mut file = TableWriter::create(path, &layout)?;
    file.write(&layout.encode_frame(frame))?;
    file.finish()
}
