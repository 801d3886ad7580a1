//! Slurm: what users ask of it, the scripts, and its three commands. Nothing here reads or writes a run's folder.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{quoted, shard::MAX_TIMEOUTS};
use crate::exit::{Unusable, Usage};

/// One `--slurm [CLASS.]KEY[=VALUE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    class: Option<String>,
    key: String,
    value: Option<String>,
}

/// All that users ask of Slurm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings(Vec<Setting>);

/// What cambench itself says.
const TAKEN: [&str; 10] = [
    "array",
    "output",
    "error",
    "open-mode",
    "job-name",
    "dependency",
    "wrap",
    "parsable",
    "wait",
    "signal",
];
/// What the job that merges shares with those that compute.
const OF_MERGE: [&str; 8] =
    ["partition", "account", "qos", "reservation", "mail-type", "mail-user", SETUP, LAUNCHER];
const CPUS: &str = "cpus-per-task";
const THROTTLE: &str = "throttle";
const SIGNAL_SECS: &str = "signal-secs";
const TIMEOUTS: &str = "max-timeouts";
const SETUP: &str = "setup";
const LAUNCHER: &str = "launcher";
/// The class of the job that merges.
const MERGE: &str = "merge";

impl Settings {
    /// Reads them, for a run with these classes.
    pub(super) fn parse<'a>(
        texts: &[String],
        classes: impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let classes: Vec<&str> = classes.chain([MERGE]).collect();
        let settings = texts.iter().map(|text| Setting::parse(text, &classes));
        settings.collect::<Result<_>>().map(Self)
    }

    /// The values of a class, in the order in which they were given; what is said of the class alone comes last.
    fn of<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Setting> {
        let general = self.0.iter().filter(move |setting| {
            setting.class.is_none() && (class != MERGE || OF_MERGE.contains(&setting.key.as_str()))
        });
        general.chain(self.0.iter().filter(move |setting| setting.class.as_deref() == Some(class)))
    }

    /// The value of a key for a class.
    fn value<'a>(&'a self, class: &'a str, key: &'a str) -> Option<&'a str> {
        self.of(class).filter(|setting| setting.key == key).last()?.value.as_deref()
    }

    fn number(&self, class: &str, key: &str, default: u32) -> Result<u32> {
        self.value(class, key).map_or(Ok(default), |value| {
            value.parse().map_err(|_not_a_number| {
                Usage(format!("--slurm {key}={value}: this is no number")).into()
            })
        })
    }

    /// How many processors a task asks for; the fewest where classes ask for different ones, because all tasks of a run
    /// compute with as many threads.
    pub(super) fn cpus(&self) -> Option<usize> {
        let of_tasks = self.of_tasks().filter(|setting| setting.key == CPUS);
        of_tasks.filter_map(|setting| setting.value.as_ref()?.parse().ok()).min()
    }

    /// Whether tasks ask for GPUs.
    pub(super) fn ask_for_gpus(&self) -> bool {
        self.of_tasks().any(|Setting { key, value, .. }| {
            let is_of_gpus = || value.as_ref().is_some_and(|value| value.contains("gpu"));
            key.starts_with("gpus") || (key == "gres" || key.starts_with("tres")) && is_of_gpus()
        })
    }

    fn of_tasks(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter().filter(|setting| setting.class.as_deref() != Some(MERGE))
    }
}

impl Setting {
    fn parse(text: &str, classes: &[&str]) -> Result<Self> {
        let wrong = |why: &str| Usage(format!("--slurm {text}: {why}"));
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        let (class, key) = match key.split_once('.') {
            Some((class, key)) => (Some(class.to_owned()), key),
            None => (None, key),
        };
        if let Some(class) = &class
            && !classes.contains(&class.as_str())
        {
            let why = format!("there is no class `{class}`; there are {}", classes.join(", "));
            return Err(wrong(&why).into());
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        let key = key.trim_start_matches("--").replace('_', "-");
        if key.is_empty() || !key.chars().all(is_plain) {
            return Err(wrong("an option is letters, digits and `-`").into());
        }
        if value.as_deref().is_some_and(|value| value.contains(['\n', '\r', '"'])) {
            return Err(wrong("a value has no line ends and no double quotes").into());
        }
        if TAKEN.contains(&key.as_str()) {
            return Err(wrong("cambench says this itself").into());
        }
        if key == "clusters" {
            let why = "jobs of another cluster would not be found again; submit on a machine of that cluster, or set \
                       SLURM_CLUSTERS for all commands";
            return Err(wrong(why).into());
        }
        let of_submitit = |name: &str, unit: &str| {
            (name.to_owned(), value.clone().map(|value| format!("{value}{unit}")))
        };
        // submitit's names for the same things.
        let (key, value) = match key.as_str() {
            "timeout-min" => of_submitit("time", ""),
            "mem-gb" => of_submitit("mem", "G"),
            "array-parallelism" => of_submitit(THROTTLE, ""),
            "signal-delay-s" => of_submitit(SIGNAL_SECS, ""),
            "max-num-timeout" => of_submitit(TIMEOUTS, ""),
            _ => (key, value),
        };
        let is_of_tasks = [THROTTLE, SIGNAL_SECS, TIMEOUTS].contains(&key.as_str());
        if is_of_tasks && class.as_deref() == Some(MERGE) {
            return Err(wrong("this means nothing for the job that merges").into());
        }
        Ok(Self { class, key, value })
    }
}

/// One array of jobs.
pub(super) struct Array<'a> {
    /// The jobs' name.
    pub(super) name: &'a str,
    /// Their class of machine.
    pub(super) class: &'a str,
    /// How many there are.
    pub(super) n_tasks: usize,
    /// How many threads each has.
    pub(super) threads: usize,
    /// The program.
    pub(super) program: &'a Path,
    /// The run's folder.
    pub(super) run: &'a Path,
    /// The list of shards.
    pub(super) list: &'a Path,
    /// Where a task's output goes, with `%a` for its number.
    pub(super) log: &'a str,
}

/// The script of an array.
pub(super) fn array_script(settings: &Settings, array: &Array<'_>) -> Result<String> {
    let Array { name, class, n_tasks, threads, program, run, list, log } = array;
    let throttle = settings.number(class, THROTTLE, 64)?;
    let signal = settings.number(class, SIGNAL_SECS, 120)?;
    let timeouts = settings.number(class, TIMEOUTS, 20)?;
    let launcher = launcher(settings, class);
    let mut script = String::from("#!/bin/bash\n");
    let mut say = |option: &str| writeln!(script, "#SBATCH --{option}").expect("a string");
    say(&format!("job-name={name}"));
    say(&format!("array=0-{}%{throttle}", n_tasks.saturating_sub(1)));
    say(&format!("output={}", of_sbatch(log)));
    say("open-mode=append");
    say("requeue");
    // To this script, which the program replaces; but what srun starts is a step of the job.
    let is_step = launcher.split(' ').next().is_some_and(|word| Path::new(word).ends_with("srun"));
    let to = if is_step { "" } else { "B:" };
    say(&format!("signal={to}USR1@{signal}"));
    if settings.value(class, CPUS).is_none() {
        say(&format!("cpus-per-task={threads}"));
    }
    options(settings, class, &mut say);
    writeln!(script, "export {MAX_TIMEOUTS}={timeouts}").expect("a string");
    setup(settings, class, &mut script);
    let [program, run, list] = [program, run, list].map(|path| quoted(&path.to_string_lossy()));
    writeln!(script, "exec {launcher}{program} shard --run {run} --list {list}").expect("a string");
    Ok(script)
}

/// The script of the job that merges when the arrays have ended, however they did; `more` is said to the program, too.
pub(super) fn merge_script(
    settings: &Settings,
    name: &str,
    program: &Path,
    run: &Path,
    log: &str,
    more: &str,
) -> String {
    let mut script = String::from("#!/bin/bash\n");
    let mut say = |option: &str| writeln!(script, "#SBATCH --{option}").expect("a string");
    say(&format!("job-name={name}"));
    say(&format!("output={}", of_sbatch(log)));
    say("open-mode=append");
    say("requeue");
    options(settings, MERGE, &mut say);
    setup(settings, MERGE, &mut script);
    let launcher = launcher(settings, MERGE);
    let [program, run] = [program, run].map(|path| quoted(&path.to_string_lossy()));
    writeln!(script, "exec {launcher}{program} merge {run} {more}").expect("a string");
    script
}

/// What a class's program is started by, with a space behind it; nothing where nothing starts it.
fn launcher(settings: &Settings, class: &str) -> String {
    let words = settings.value(class, LAUNCHER).filter(|words| !words.is_empty());
    words.map_or(String::new(), |words| format!("{words} "))
}

/// What users ask of sbatch itself.
fn options(settings: &Settings, class: &str, say: &mut impl FnMut(&str)) {
    let ours = [THROTTLE, SIGNAL_SECS, TIMEOUTS, SETUP, LAUNCHER];
    let of_class: Vec<_> = settings.of(class).collect();
    for (i, Setting { key, value, .. }) in of_class.iter().enumerate() {
        let is_said_again = of_class[i + 1..].iter().any(|other| other.key == *key);
        if is_said_again || ours.contains(&key.as_str()) {
            continue;
        }
        match value {
            Some(value) if value.contains(char::is_whitespace) => {
                say(&format!("{key}=\"{value}\""));
            }
            Some(value) => say(&format!("{key}={value}")),
            None => say(key),
        }
    }
}

fn setup(settings: &Settings, class: &str, script: &mut String) {
    for setting in settings.of(class).filter(|setting| setting.key == SETUP) {
        writeln!(script, "{}", setting.value.as_deref().unwrap_or_default()).expect("a string");
    }
}

/// A file's name as sbatch reads it: `%` has a meaning, but for the one of `%a` at its end.
fn of_sbatch(log: &str) -> String {
    let (folder, name) = log.rsplit_once('/').unwrap_or(("", log));
    format!("\"{}/{name}\"", folder.replace('%', "%%"))
}

/// Refuses a path that sbatch's options cannot say.
pub(super) fn check_path(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(text) if !text.contains(['"', '\n', '\r', '\\']) => Ok(()),
        _ => Err(Usage(format!(
            "{}: Slurm cannot be given a path with quotes, backslashes, line ends or bytes that are no UTF-8",
            path.display()
        ))
        .into()),
    }
}

/// A job that is in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// `123`, or of a task of an array `123_4`.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// `PENDING`, `RUNNING` ...
    pub(super) state: String,
}

impl Job {
    /// Its number in its array.
    pub(super) fn task(&self) -> Option<usize> {
        self.id.split_once('_')?.1.parse().ok()
    }

    /// Without the number in its array.
    pub(super) fn array(&self) -> &str {
        self.id.split_once('_').map_or(&self.id, |(array, _)| array)
    }
}

/// This user's jobs whose names begin like this; an error where Slurm does not answer.
pub(super) fn queue(beginning: &str) -> Result<Vec<Job>> {
    let format = "--format=%i|%j|%T";
    let text = output(Command::new("squeue").args(["--noheader", "--array", "--me", format]))?;
    let jobs = text.lines().filter_map(|line| {
        let mut words = line.splitn(3, '|').map(|word| word.trim().to_owned());
        Some(Job { id: words.next()?, name: words.next()?, state: words.next()? })
    });
    Ok(jobs.filter(|job| job.name.starts_with(beginning)).collect())
}

/// Submits a script: the job's id.
pub(super) fn sbatch(script: &Path, after: &[String]) -> Result<String> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    if !after.is_empty() {
        command.arg(format!("--dependency=afterany:{}", after.join(":")));
    }
    let text = output(command.arg(script))?;
    // `id;cluster` where there are several clusters.
    let id = text.trim().split(';').next().unwrap_or_default().to_owned();
    if id.is_empty() {
        bail!(Unusable("sbatch has not said what the job's id is".into()));
    }
    Ok(id)
}

/// Takes jobs out of the queue, running or not.
pub(super) fn scancel(ids: &[String]) -> Result<()> {
    output(Command::new("scancel").args(ids)).map(drop)
}

/// How many jobs an array may have: their numbers are below the cluster's `MaxArraySize`.
pub(super) fn max_array_size() -> usize {
    let config = output(Command::new("scontrol").args(["show", "config"])).unwrap_or_default();
    let line = config.lines().find_map(|line| line.strip_prefix("MaxArraySize"));
    let number = line.and_then(|rest| rest.trim_start_matches([' ', '=']).trim().parse().ok());
    // Slurm's own default, which is 1001, where it does not say.
    number.filter(|n| *n > 0).unwrap_or(1000)
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        Unusable(format!(
            "{program} cannot be started ({error}); is this a machine of a Slurm cluster?"
        ))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!(Unusable(format!("{program} failed: {said}")));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} says no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(texts: &[&str]) -> Result<Settings> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Settings::parse(&texts, ["main", "big"].into_iter())
    }

    fn script(settings: &Settings, class: &str) -> String {
        let array = Array {
            name: "cambench-0123abcd-0001",
            class,
            n_tasks: 312,
            threads: 4,
            program: Path::new("/runs/a b/shards/bin/cambench"),
            run: Path::new("/runs/a b"),
            list: Path::new("/runs/a b/shards/submit/0001.list"),
            log: "/runs/100%/shards/log/0001_%a.log",
        };
        array_script(settings, &array).unwrap()
    }

    #[test]
    fn the_script_of_an_array_says_all_that_was_asked_for() {
        let settings = settings(&[
            "partition=gpu",
            "gres=gpu:1",
            "time=01:00:00",
            "big.gres=gpu:h100:1",
            "big.exclusive",
            "comment=two words",
            "setup=module load cuda",
            "array_parallelism=8",
            "merge.mem=8G",
        ])
        .unwrap();
        assert_eq!(
            script(&settings, "big"),
            r#"#!/bin/bash
#SBATCH --job-name=cambench-0123abcd-0001
#SBATCH --array=0-311%8
#SBATCH --output="/runs/100%%/shards/log/0001_%a.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --cpus-per-task=4
#SBATCH --partition=gpu
#SBATCH --time=01:00:00
#SBATCH --comment="two words"
#SBATCH --gres=gpu:h100:1
#SBATCH --exclusive
export CAMBENCH_MAX_TIMEOUTS=20
module load cuda
exec '/runs/a b/shards/bin/cambench' shard --run '/runs/a b' --list '/runs/a b/shards/submit/0001.list'
"#
        );
        assert!(script(&settings, "main").contains("--gres=gpu:1\n"));
        let merge = merge_script(
            &settings,
            "cambench-0123abcd-merge",
            Path::new("/bin/cambench"),
            Path::new("/run"),
            "/run/shards/log/merge.log",
            "--patience 60",
        );
        assert_eq!(
            merge,
            r#"#!/bin/bash
#SBATCH --job-name=cambench-0123abcd-merge
#SBATCH --output="/run/shards/log/merge.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --partition=gpu
#SBATCH --mem=8G
module load cuda
exec /bin/cambench merge /run --patience 60
"#
        );
    }

    #[test]
    fn the_names_of_submitit_mean_what_they_mean_there() {
        let settings = settings(&[
            "timeout_min=90",
            "mem_gb=16",
            "gpus_per_node=1",
            "cpus_per_task=8",
            "signal_delay_s=90",
            "max_num_timeout=3",
            "launcher=srun",
        ])
        .unwrap();
        assert_eq!(settings.cpus(), Some(8));
        let script = script(&settings, "main");
        for line in [
            "#SBATCH --time=90\n",
            "#SBATCH --mem=16G\n",
            "#SBATCH --gpus-per-node=1\n",
            "#SBATCH --cpus-per-task=8\n",
            "#SBATCH --signal=USR1@90\n",
            "export CAMBENCH_MAX_TIMEOUTS=3\n",
            "exec srun '/runs/a b/shards/bin/cambench' shard ",
        ] {
            assert!(script.contains(line), "{line} is not in {script}");
        }
        assert_eq!(script.matches("cpus-per-task").count(), 1);
    }

    #[test]
    fn a_launcher_starts_the_merge_as_well_and_is_signaled_unless_it_makes_a_step() {
        let merge = |settings: &Settings| {
            merge_script(settings, "", Path::new("/bin/cambench"), Path::new("/run"), "", "")
        };
        for (launcher, signal, start) in [
            (
                "apptainer exec image.sif",
                "=B:USR1@",
                "exec apptainer exec image.sif /bin/cambench ",
            ),
            ("/usr/bin/srun --mpi=none", "=USR1@", "exec /usr/bin/srun --mpi=none /bin/cambench "),
        ] {
            let settings = settings(&[&format!("launcher={launcher}")]).unwrap();
            assert!(script(&settings, "main").contains(&format!("--signal{signal}120\n")));
            assert!(merge(&settings).contains(start), "{}", merge(&settings));
        }
        let settings = settings(&["launcher=srun", "merge.launcher="]).unwrap();
        assert!(merge(&settings).contains("\nexec /bin/cambench "), "{}", merge(&settings));
    }

    #[test]
    fn what_all_tasks_ask_for_is_what_any_class_asks_for_and_not_the_merge() {
        let cpus = |texts: &[&str]| settings(texts).unwrap().cpus();
        assert_eq!(cpus(&["partition=gpu", "merge.cpus-per-task=1"]), None);
        assert_eq!(cpus(&["main.cpus-per-task=4"]), Some(4));
        assert_eq!(cpus(&["cpus-per-task=4", "big.cpus-per-task=16"]), Some(4));
        let ask_for_gpus = |text: &str| settings(&[text]).unwrap().ask_for_gpus();
        for text in ["gres=gpu:1", "big.gres=lscratch:9,gpu:h100:2", "gpus_per_node=1", "gpus=2"] {
            assert!(ask_for_gpus(text), "{text}");
        }
        for text in ["partition=gpu", "gres=lscratch:100", "merge.gres=gpu:1"] {
            assert!(!ask_for_gpus(text), "{text}");
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        for (text, why) in [
            ("array=0-3", "cambench says this itself"),
            ("huge.mem=1G", "there is no class `huge`; there are main, big, merge"),
            ("a b=1", "an option is letters"),
            ("=1", "an option is letters"),
            ("clusters=other", "set SLURM_CLUSTERS"),
            ("merge.throttle=1", "means nothing for the job that merges"),
            ("merge.max_num_timeout=1", "means nothing for the job that merges"),
            ("comment=a\n#SBATCH --uid=0", "no line ends"),
        ] {
            let error = settings(&[text]).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(why), "{error}");
        }
        let error = array_script(
            &settings(&["throttle=many"]).unwrap(),
            &Array {
                name: "",
                class: "main",
                n_tasks: 1,
                threads: 1,
                program: Path::new(""),
                run: Path::new(""),
                list: Path::new(""),
                log: "",
            },
        );
        assert!(error.unwrap_err().to_string().contains("throttle=many"));
        assert!(check_path(Path::new("/runs/a\"b")).is_err());
        assert!(check_path(Path::new("/runs/a b%")).is_ok());
    }
}
