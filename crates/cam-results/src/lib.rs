//! Everything after a number exists: records, store, summary, report, plots.
//!
//! A [`Store`] takes [`Row`]s, keeps them through kills and power cuts, and turns them into a run's folder. A [`Run`]
//! is such a folder read back. [`summarize`] counts, averages and bootstraps; [`report_md`] and the plots show. Nothing
//! here knows a tensor or a network.

mod accuracy;
mod classes;
mod disk;
mod error;
mod files;
mod format;
pub mod gate;
mod html;
mod images;
mod join;
mod journal;
mod layers;
mod manifest;
mod markdown;
mod pareto;
mod picture;
mod plot;
mod preset;
mod record;
mod reference;
mod report;
mod run;
mod sections;
mod seeds;
pub mod shards;
pub mod stats;
mod store;
mod summary;
mod synthetic;
mod tables;
#[cfg(test)]
mod testing;
mod tex;
mod worst;

pub use accuracy::{Accuracy, of_networks};
pub use error::{Error, Result};
pub use files::{host, write_atomically, write_bytes};
pub use format::{counted, p_value};
pub use html::{Choice, Shown, chosen_images, report_html};
pub use journal::Maker;
pub use manifest::{
    AT, Better, DatasetEntry, IMPORTED, ImageEntry, JoinedRuns, LABEL, MadeOn, MethodEntry,
    MetricEntry, ModelEntry, ProtocolEntry, Rounding, RunManifest, RunStatus, WeightsEntry,
    clashing_column, name_at, network_of,
};
pub use picture::{Picture, color};
pub use plot::{
    GridMap, GridRow, Plot, cost_plot, curves_plot, grid_plot, metrics_plot, ranks_plot,
};
pub use preset::{Family, Preset, family};
pub use record::{COLUMNS, Curve, Key, Name, RawMap, Record, Row, SCHEMA, Status};
pub use reference::{Printed, Reference};
pub use report::{Figure, FigureSection, cautions, report_md};
pub use run::Run;
pub use seeds::OverSeeds;
pub use shards::{Committed, Part, Shard, ShardPlan};
pub use store::Store;
pub use summary::{
    Cell, Estimate, FEW_IMAGES, MeanCost, Summary, TableCheck, adcc, adcc_of, summarize,
};
pub use synthetic::synthetic;
pub use tex::{report_tex, table_md, table_tex};
pub use worst::Worst;
