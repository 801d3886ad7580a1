//! The report: what a run says, in Markdown, from its records alone.

use crate::{
    Accuracy, Cell, Estimate, MadeOn, MethodEntry, Preset, Record, Rounding, Run, RunManifest,
    Status, Summary,
    format::{counted, counted_images, label, lost, number},
    markdown::{code, escape, fenced, line, table},
    of_networks,
    preset::grouped,
    sections, stats,
    summary::{FEW_IMAGES, cells_of},
};

/// How many degenerate and failed rows are listed.
const N_LISTED: usize = 20;

/// A plot that the report shows: its file in the run's folder and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The section that it belongs to.
    pub section: FigureSection,
    /// The file's name.
    pub file: String,
    /// What one sees, for those who cannot.
    pub caption: String,
}

/// A part of the report that may show plots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureSection {
    /// Metrics by method.
    Scores,
    /// What can be told apart.
    Differences,
    /// Deletion and insertion.
    Curves,
    /// What an explanation takes.
    Cost,
    /// Photographs with their maps.
    Maps,
}

/// `report.md` of a run, complete or not, with the figures that lie beside it.
pub fn report_md(run: &Run, summary: &Summary, figures: &[Figure]) -> String {
    let manifest = run.manifest();
    let mut md = String::new();
    header(&mut md, manifest);
    warnings(&mut md, run, summary);
    accuracies(&mut md, &summary.accuracies);
    stats::conclusions_md(&mut md, summary);
    scores(&mut md, manifest, summary);
    sections::md(&mut md, manifest, summary);
    show(&mut md, figures, FigureSection::Scores);
    stats::differences_md(&mut md, summary);
    show(&mut md, figures, FigureSection::Differences);
    if figures.iter().any(|figure| figure.section == FigureSection::Curves) {
        line(&mut md, "## Curves\n");
        show(&mut md, figures, FigureSection::Curves);
    }
    cost(&mut md, manifest, summary);
    show(&mut md, figures, FigureSection::Cost);
    if figures.iter().any(|figure| figure.section == FigureSection::Maps) {
        line(&mut md, "## Maps\n");
        show(&mut md, figures, FigureSection::Maps);
    }
    troubles(&mut md, run);
    definitions(&mut md, manifest);
    provenance(&mut md, manifest);
    md
}

fn show(md: &mut String, figures: &[Figure], section: FigureSection) {
    for Figure { file, caption, .. } in figures.iter().filter(|figure| figure.section == section) {
        line(md, &format!("![{}]({})\n", escape(caption), file.replace(' ', "%20")));
    }
}

fn header(md: &mut String, manifest: &RunManifest) {
    let RunManifest { sweep, dataset, target, device, threads, cambench, .. } = manifest;
    line(md, &format!("# {}\n", escape(sweep)));
    let commit = manifest.commit.as_deref().map_or(String::new(), |commit| {
        let short = commit.get(..12).unwrap_or(commit);
        format!(" ({short}{})", if manifest.dirty { " with changes" } else { "" })
    });
    let finished = manifest.finished.as_deref().unwrap_or("not finished");
    let threads = if *threads == 1 { "1 thread".into() } else { format!("{threads} threads") };
    line(
        md,
        &format!(
            "{} of {} · explained class: {target} · protocol {} · {}, {threads} · cambench {cambench}{commit} · {finished}\n",
            counted_images(manifest),
            escape(&dataset.name),
            code(&manifest.protocol.name),
            escape(device),
        ),
    );
}

/// `corrected`, and what departs from it: an entry's own settings stand behind the protocol's name.
fn protocols(manifest: &RunManifest) -> String {
    let name = &manifest.protocol.name;
    let methods = manifest.methods.iter().map(|method| (&method.name, &method.protocol));
    let metrics = manifest.metrics.iter().map(|metric| (&metric.name, &metric.protocol));
    let departing: Vec<String> = methods
        .chain(metrics)
        .filter(|(_, protocol)| *protocol != name)
        .map(|(entry, protocol)| {
            let own = protocol.strip_prefix(name.as_str()).filter(|rest| rest.starts_with('+'));
            format!("{} {}", code(entry), code(own.unwrap_or(protocol)))
        })
        .collect();
    let version = manifest.protocol.version;
    if departing.is_empty() {
        format!("Protocol {} (version {version}).", code(name))
    } else {
        format!(
            "Protocol {} (version {version}); departing from it: {}.",
            code(name),
            departing.join(", ")
        )
    }
}

fn warnings(md: &mut String, run: &Run, summary: &Summary) {
    for caution in cautions(run, summary) {
        line(md, &format!("> **Caution:** {}\n", escape(&caution)));
    }
}

/// What weakens the numbers of a run, one sentence or two each; plain text.
pub fn cautions(run: &Run, summary: &Summary) -> Vec<String> {
    let manifest = run.manifest();
    let mut cautions = run.cautions().to_vec();
    if run.n_missing() > 0 {
        cautions.push(format!(
            "the run is not complete: {} of {} are missing.",
            run.n_missing(),
            counted(manifest.n_rows(), "row")
        ));
    }
    if manifest.made_on.len() > 1 {
        let made = |on: &MadeOn| format!("{} by {}", counted(on.n_rows, "row"), on.device);
        let made: Vec<_> = manifest.made_on.iter().map(made).collect();
        cautions.push(format!(
            "devices of {} kinds made this run: {}. Times compare only within one, and scores may differ in their last bits.",
            made.len(),
            made.join(", ")
        ));
    }
    // The layers of a network follow each other.
    for layers in manifest.models.chunk_by(|a, b| a.network() == b.network()) {
        let (model, network) = (&layers[0], layers[0].network());
        cautions.extend(model.cautions.iter().map(|caution| format!("{network}: {caution}")));
        if model.weights.seeded {
            cautions.push(format!(
                "{network} has random weights. Its times mean something, its scores do not."
            ));
        }
        if model.precision != "f32" {
            cautions.push(format!(
                "{network} ran in {}, which rounds every number to a few bits.",
                model.precision
            ));
        }
    }
    cautions.extend(manifest.dataset.cautions.iter().cloned());
    for accuracy in of_networks(&summary.accuracies) {
        let mut of = manifest.models.iter().filter(|model| model.name == accuracy.model);
        if of.any(|model| !model.weights.seeded && accuracy.is_suspicious(model.n_classes)) {
            cautions.push(format!(
                "{} classifies {} of {} as labeled. Labels may be of other classes, as those of folders that are neither \
                 named by WordNet ids nor by the data set's `classes`: they count as 0, 1, 2 in their order.",
                accuracy.network(),
                accuracy.n_right,
                counted(accuracy.n, "image"),
            ));
        }
    }
    let planned = manifest.models.iter().flat_map(|model| cells_of(manifest, summary, &model.name));
    // What has no row yet is said above.
    let planned: Vec<&Cell> =
        planned.map(|(_, cell)| cell).filter(|cell| cell.n_rows() > 0).collect();
    let of = |cell: &Cell| cell.metrics_units.iter().copied().filter(|n| *n > 0).min().unwrap_or(0);
    let fewest = planned.iter().map(|cell| of(cell)).min().unwrap_or(0);
    if fewest < FEW_IMAGES {
        cautions.push(format!(
            "behind some means there {} only {}. Intervals of so few are too short, and these means support no conclusion.",
            if fewest == 1 { "is" } else { "are" },
            summary.counted_units(fewest)
        ));
    }
    for (i, metric) in manifest.metrics.iter().enumerate() {
        let n_of = planned.iter().map(|cell| (cell.metrics_n[i], cell.n));
        let partly = n_of.filter(|(n, of)| *n > 0 && n < of);
        if let Some((n, of)) = partly.min() {
            cautions.push(format!(
                "{} is not defined, or was not asked for, on every image: behind its means there are as few as {n} of {of}.",
                metric.name
            ));
        }
    }
    cautions
}

fn accuracies(md: &mut String, accuracies: &[Accuracy]) {
    for accuracy in of_networks(accuracies) {
        let Some(Estimate { mean, lo, hi }) = accuracy.share else { continue };
        let published = accuracy.published.map_or(String::new(), |published| {
            format!("; published for ImageNet's validation images: {published:.3}")
        });
        line(
            md,
            &format!(
                "{}: top-1 {}/{} = {mean:.3} [{lo:.3}, {hi:.3}]{published}\n",
                escape(accuracy.network()),
                accuracy.n_right,
                accuracy.n
            ),
        );
    }
}

fn scores(md: &mut String, manifest: &RunManifest, summary: &Summary) {
    line(md, "## Scores\n");
    let units = summary.units();
    line(
        md,
        &format!(
            "Percent, with 95 % intervals (percentile-t bootstrap over {units}; Wilson's where images say yes or no). ↑ more is better, ↓ less is better. \
         ADCC is the harmonic mean of the means of coherency, 1 − complexity and 1 − drop. n images were scored.\n"
        ),
    );
    line(md, &format!("{}\n", protocols(manifest)));
    for model in &manifest.models {
        let cells: Vec<(&MethodEntry, &Cell)> = cells_of(manifest, summary, &model.name).collect();
        let name = format!("{} at {}", escape(model.network()), code(&model.layer));
        let name = (manifest.models.len() > 1).then_some(&*name);
        for group in grouped(Preset::All.columns_of(manifest, summary, &cells)) {
            if let Some(heading) = group.heading(name) {
                line(md, &format!("### {heading}\n"));
            }
            let mut head = vec!["Method".to_owned()];
            head.extend(group.columns.iter().map(|column| escape(&column.heading)));
            head.push("n".into());
            let rows = cells.iter().map(|(method, cell)| {
                let mut row = vec![escape(&label(method))];
                row.extend(
                    group.columns.iter().map(|column| percent(column.estimate(cell).as_ref())),
                );
                row.push(with_lost(cell));
                row
            });
            table(md, &head, rows);
        }
    }
}

/// `197`, or with those that are not in the mean: `195 (3 degenerate, 2 failed)`.
fn with_lost(cell: &Cell) -> String {
    let lost = lost(cell);
    if lost.is_empty() { cell.n.to_string() } else { format!("{} ({})", cell.n, lost.join(", ")) }
}

fn percent(estimate: Option<&Estimate>) -> String {
    let Some(estimate) = estimate else { return "–".to_owned() };
    let mean = format!("{:.1}", 100.0 * estimate.mean);
    match estimate.interval() {
        Some((lo, hi)) => format!("{mean} [{:.1}, {:.1}]", 100.0 * lo, 100.0 * hi),
        None => mean,
    }
}

fn cost(md: &mut String, manifest: &RunManifest, summary: &Summary) {
    line(md, "## Cost of one explanation\n");
    line(
        md,
        "Passes that the method's definition needs: through the whole network, through the part behind the layer, and \
         backwards through that part. Then how many images really passed through either, beside the one clean pass \
         that all methods share: closed forms and shared activations need fewer. \
         Seconds are medians on this machine and include the clean pass.\n",
    );
    for model in &manifest.models {
        if manifest.models.len() > 1 {
            line(md, &format!("### {} at {}\n", escape(model.network()), code(&model.layer)));
        }
        let head = ["Method", "Forwards", "Head forwards", "Backwards", "Really run", "Seconds"];
        let rows = cells_of(manifest, summary, &model.name).map(|(method, cell)| {
            let name = escape(&label(method));
            let Some(cost) = &cell.cost else {
                return vec![name, "–".into(), "–".into(), "–".into(), "–".into(), "–".into()];
            };
            vec![
                name,
                number(cost.forwards),
                number(cost.head_forwards),
                number(cost.backwards),
                number(cost.executed_forwards),
                format!("{:.4}", cost.explain_secs),
            ]
        });
        table(md, &head.map(str::to_owned), rows);
    }
}

fn troubles(md: &mut String, run: &Run) {
    let bad: Vec<&Record> =
        run.records().iter().filter(|record| record.status != Status::Ok).collect();
    if bad.is_empty() {
        return;
    }
    line(md, "## Degenerate and failed rows\n");
    line(
        md,
        "A degenerate map is constant or not finite and says nothing; a failed row has no map. Neither is in any mean.\n",
    );
    if bad.len() > N_LISTED {
        line(md, &format!("The first {N_LISTED} of {}:\n", bad.len()));
    }
    let head = ["Model", "Method", "Image", "Status", "Why"].map(str::to_owned);
    let rows = bad.iter().take(N_LISTED).map(|record| {
        vec![
            escape(&record.model),
            escape(&record.method),
            escape(&record.image),
            record.status.as_str().to_owned(),
            escape(record.error.as_deref().unwrap_or("")),
        ]
    });
    table(md, &head, rows);
}

fn definitions(md: &mut String, manifest: &RunManifest) {
    line(md, "## Definitions\n");
    let head = ["Name", "What", "Protocol", "Options"].map(str::to_owned);
    let row = |name: &str, title: &str, protocol: &str, options: &serde_json::Value| {
        vec![code(name), escape(title), code(protocol), code(&options.to_string())]
    };
    let methods = manifest.methods.iter().map(|m| row(&m.name, &m.title, &m.protocol, &m.options));
    let metrics = manifest.metrics.iter().map(|m| row(&m.name, &m.title, &m.protocol, &m.options));
    table(md, &head, methods.chain(metrics));
}

fn provenance(md: &mut String, manifest: &RunManifest) {
    line(md, "## Provenance\n");
    let head = ["Model", "Architecture", "Layer", "Features", "Precision", "Weights", "SHA-256"];
    let rows = manifest.models.iter().map(|model| {
        let [channels, height, width] = model.feature_shape;
        vec![
            escape(&model.name),
            escape(&model.architecture),
            code(&model.layer),
            format!("{channels} × {height} × {width}"),
            model.precision.clone(),
            escape(&model.weights.source),
            model.weights.sha256.as_deref().map_or("–".into(), code),
        ]
    });
    table(md, &head.map(str::to_owned), rows);
    for model in &manifest.models {
        if let Some(Rounding { n_images, n_same_class, max_confidence_difference }) =
            &model.rounding
        {
            let points = 100.0 * max_confidence_difference;
            line(
                md,
                &format!(
                    "{} runs in {}. On the run's first {n_images} images its confidence is at most {points:.2} points off \
                     from `f32`, and {n_same_class} of {n_images} predictions are the same.\n",
                    escape(&model.name),
                    code(&model.precision)
                ),
            );
        }
    }
    let versions: Vec<String> =
        manifest.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let command = manifest.command.as_deref();
    let command = command.map_or(String::new(), |command| format!(" Made by {}.", code(command)));
    line(
        md,
        &format!(
            "Seed {}. {}.{command} The sweep as it was given:\n",
            manifest.seeds(),
            versions.join(", ")
        ),
    );
    fenced(md, manifest.config_given.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store, summarize,
        testing::{manifest, model, rows},
    };

    fn figures() -> Vec<Figure> {
        [
            (FigureSection::Scores, "metrics"),
            (FigureSection::Curves, "curves"),
            (FigureSection::Cost, "cost"),
        ]
        .into_iter()
        .map(|(section, name)| Figure {
            section,
            file: format!("{name}.svg"),
            caption: format!("the {name}"),
        })
        .collect()
    }

    fn report(manifest: &RunManifest, rows: &[crate::Row], figures: &[Figure]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let mut store = Store::create_or_continue(&path, manifest.clone()).unwrap();
        for row in rows {
            store.append(row).unwrap();
        }
        let run = if rows.len() == manifest.n_rows() {
            store.finish("2026-01-02T04:00:00Z").unwrap()
        } else {
            Run::read(&path).unwrap()
        };
        report_md(&run, &summarize(run.manifest(), run.records()), figures)
    }

    #[test]
    fn the_report_stays_as_it_is() {
        let manifest = manifest();
        insta::assert_snapshot!(report(&manifest, &rows(&manifest), &figures()));
    }

    #[test]
    fn what_weakens_a_result_stands_at_its_top() {
        let mut manifest = manifest();
        manifest.models.push(model("random"));
        manifest.models[1].weights.seeded = true;
        manifest.models[1].precision = "bf16".into();
        let all = rows(&manifest);
        let md = report(&manifest, &all[..5], &[]);
        let top = &md[..md.find("## Scores").unwrap()];
        for caution in [
            "13 of 18 rows are missing",
            "random has random weights",
            "random ran in bf16",
            "behind some means there is only 1 image",
        ] {
            assert!(top.contains(caution), "{caution} is not in {top}");
        }
        assert!(md.contains("### random at `layer4`"), "{md}");
    }

    #[test]
    fn markup_in_names_and_messages_stays_text() {
        assert_eq!(
            escape("<img src=x onerror=a>|*b*\n`c` [d](e) f_g _h_ &amp;"),
            "&lt;img src=x onerror=a&gt;\\|\\*b\\* \\`c\\` \\[d\\](e) f_g \\_h\\_ &amp;amp;"
        );
        let mut manifest = manifest();
        manifest.images[1].image = "<script>alert(1)</script>|.jpg".into();
        manifest.config_given = "name: x\n```\n# out of the block\n````\n".into();
        let md = report(&manifest, &rows(&manifest), &[]);
        assert!(!md.contains("<script>"), "{md}");
        assert!(md.ends_with("`````yaml\nname: x\n```\n# out of the block\n````\n`````\n"), "{md}");
        let (_, troubles) = md.split_once("## Degenerate and failed rows").unwrap();
        for row in troubles.lines().filter(|line| line.starts_with("| resnet18 | rise |")) {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
        }
    }
}
