//! The report: what a run says, in Markdown, from its records alone.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    Accuracy, Better, Cell, Estimate, MadeOn, MethodEntry, MetricEntry, Preset, Record, Rounding,
    Run, RunManifest, Status, Summary, beside, of_networks,
    preset::grouped,
    stats::{self, Units},
    summary::FEW_IMAGES,
};

/// How many degenerate and failed rows are listed.
const N_LISTED: usize = 20;

/// A plot that the report shows: its file in the run's folder and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The section that it belongs to.
    pub section: Section,
    /// The file's name.
    pub file: String,
    /// What one sees, for those who cannot.
    pub caption: String,
}

/// A part of the report that may show plots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
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
    beside::md(&mut md, manifest, summary);
    show(&mut md, figures, Section::Scores);
    stats::differences_md(&mut md, summary);
    show(&mut md, figures, Section::Differences);
    if figures.iter().any(|figure| figure.section == Section::Curves) {
        line(&mut md, "## Curves\n");
        show(&mut md, figures, Section::Curves);
    }
    cost(&mut md, manifest, summary);
    show(&mut md, figures, Section::Cost);
    if figures.iter().any(|figure| figure.section == Section::Maps) {
        line(&mut md, "## Maps\n");
        show(&mut md, figures, Section::Maps);
    }
    troubles(&mut md, run);
    definitions(&mut md, manifest);
    provenance(&mut md, manifest);
    md
}

pub(crate) fn line(md: &mut String, text: &str) {
    md.push_str(text);
    md.push('\n');
}

fn show(md: &mut String, figures: &[Figure], section: Section) {
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

/// `1 image`, `8 images`.
pub fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The images of a run in words, as they count in its intervals: `8 images`, or `62 images of 31 classes` where classes are
/// drawn.
pub(crate) fn counted_images(manifest: &RunManifest) -> String {
    let images = counted(manifest.images.len(), "image");
    if !Units::of(&manifest.images).are_classes() {
        return images;
    }
    let labels = manifest.images.iter().filter_map(|image| image.label);
    let n_classes = labels.clone().collect::<BTreeSet<i64>>().len();
    match manifest.images.len() - labels.count() {
        0 => format!("{images} of {n_classes} classes"),
        n => format!("{images}, {n} without a label and the others of {n_classes} classes"),
    }
}

/// The protocols of the methods and metrics, each once.
pub(crate) fn protocol_names(manifest: &RunManifest) -> Vec<String> {
    let methods = manifest.methods.iter().map(|method| &method.protocol);
    let mut names: Vec<String> =
        methods.chain(manifest.metrics.iter().map(|metric| &metric.protocol)).cloned().collect();
    names.sort();
    names.dedup();
    names
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

/// The cells of a model that the plan has, with their methods, in the manifest's order.
pub(crate) fn cells_of<'m, 's>(
    manifest: &'m RunManifest,
    summary: &'s Summary,
    model: &'m str,
) -> impl Iterator<Item = (&'m MethodEntry, &'s Cell)> {
    let cells = summary.cells.iter().filter(move |cell| cell.model == model);
    cells.filter_map(move |cell| {
        let is_its = |method: &&MethodEntry| {
            method.name == cell.method && method.protocol == cell.protocol && method.runs_on(model)
        };
        Some((manifest.methods.iter().find(is_its)?, cell))
    })
}

/// `197`, or with those that are not in the mean: `195 (3 degenerate, 2 failed)`.
fn with_lost(cell: &Cell) -> String {
    let lost = lost(cell);
    if lost.is_empty() { cell.n.to_string() } else { format!("{} ({})", cell.n, lost.join(", ")) }
}

/// Those that are not in the mean: `3 degenerate`, `2 failed`.
pub(crate) fn lost(cell: &Cell) -> Vec<String> {
    [(cell.n_degenerate, "degenerate"), (cell.n_failed, "failed")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect()
}

/// A metric as it heads a column or a panel: `Deletion ↓`.
pub(crate) fn heading(metric: &MetricEntry) -> String {
    let arrow = arrow(metric.better);
    format!("{} {arrow}", entry_label(&metric.title, &metric.name, &metric.metric))
}

/// Where good is.
pub(crate) fn arrow(better: Better) -> char {
    match better {
        Better::Higher => '↑',
        Better::Lower => '↓',
    }
}

/// A p-value as it is printed: `0.012`, or `< 0.0001`.
pub fn p_value(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".into() } else { format!("{:.*}", if p < 0.01 { 4 } else { 3 }, p) }
}

/// A method as it stands in tables and plots: its title, and its name in the sweep where it has one of its own.
pub(crate) fn label(method: &MethodEntry) -> String {
    entry_label(&method.title, &method.name, &method.method)
}

fn entry_label(title: &str, name: &str, kind: &str) -> String {
    if name == kind { title.to_owned() } else { format!("{title} ({name})") }
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

/// A mean of counts: whole where it is.
pub(crate) fn number(mean: f64) -> String {
    let text = format!("{mean:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
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

/// A block of code that its text cannot close.
fn fenced(md: &mut String, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(md, "{fence}yaml\n{text}\n{fence}");
}

pub(crate) fn table(md: &mut String, head: &[String], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut write = |cells: &[String]| {
        let _ = writeln!(md, "| {} |", cells.join(" | "));
    };
    write(head);
    // Names to the left, numbers to the right would need a type for each column; left serves all.
    write(&vec!["---".to_owned(); head.len()]);
    for row in rows {
        write(&row);
    }
    md.push('\n');
}

/// Text that stands for itself in Markdown and in the HTML that is made of it, on one line.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => escaped.extend(['\\', c]),
            // Inside a word it is no emphasis, and names of files stay readable.
            '_' if !(before.is_alphanumeric()
                && rest.peek().is_some_and(|after| after.is_alphanumeric())) =>
            {
                escaped.push_str("\\_");
            }
            _ if c.is_control() => escaped.push(' '),
            _ => escaped.push(c),
        }
        before = c;
    }
    escaped
}

/// Text in a code span in a table's cell.
pub(crate) fn code(text: &str) -> String {
    if text.contains(['`', '|', '\\']) || text.chars().any(char::is_control) {
        escape(text)
    } else {
        format!("`{text}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store, summarize,
        testing::{manifest, model, rows},
    };

    fn figures() -> Vec<Figure> {
        [(Section::Scores, "metrics"), (Section::Curves, "curves"), (Section::Cost, "cost")]
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

    #[test]
    fn a_method_with_a_name_of_its_own_shows_both() {
        let mut method = manifest().methods[1].clone();
        assert_eq!(label(&method), "RISE");
        method.name = "rise_500".into();
        assert_eq!(label(&method), "RISE (rise_500)");
    }
}
