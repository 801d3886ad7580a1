//! A run cut into shards, as users and engines meet it: any process, any order, any number of kills.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, SystemTime},
};

use cam_results::{Picture, Run};
use tempfile::TempDir;

/// A folder with photographs and a sweep over two networks of a few kilobytes, which take milliseconds a row.
struct Workshop(TempDir);

/// A Slurm that takes jobs and runs none. `said` is what `sbatch` was asked, `queue` what `squeue` says, and `canceled` what
/// `scancel` was told; `sbatch` refuses the script that `refuses` names, and with `forgets` no job is seen in the queue.
const SLURM: [(&str, &str); 4] = [
    (
        "sbatch",
        r#"for script; do :; done
echo "$*" >> said
id=$((100 + $(wc -l < said)))
case $script in *"$(cat refuses 2> /dev/null || echo none)") echo 'job limit reached' >&2; exit 1;; esac
echo $id
[ ! -e forgets ] || exit 0
name=$(sed -n 's/^#SBATCH --job-name=//p' "$script")
last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\)%.*/\1/p' "$script")
for task in ${last:+$(seq 0 "$last")}; do echo "${id}_$task|$name|PENDING"; done >> queue
[ -n "$last" ] || echo "$id|$name|PENDING" >> queue"#,
    ),
    ("squeue", "[ ! -e down ] || { echo 'no controller' >&2; exit 1; }\ncat queue"),
    ("scancel", r#"echo "$*" >> canceled"#),
    ("scontrol", "exit 1"),
];

impl Workshop {
    fn new(n_photographs: usize, n_masks: usize) -> Self {
        Self::at(tempfile::tempdir().unwrap(), n_photographs, n_masks)
    }

    /// One that all nodes of a cluster would see, with a [`SLURM`].
    fn on_a_cluster(n_photographs: usize, n_masks: usize) -> Self {
        let workshop = Self::at(tempfile::tempdir_in("/var/tmp").unwrap(), n_photographs, n_masks);
        fs::create_dir(workshop.path("slurm")).unwrap();
        for (name, script) in SLURM {
            let path = workshop.path("slurm").join(name);
            let script = format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n{script}\n");
            fs::write(&path, script).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for empty in ["said", "queue"] {
            workshop.tell_slurm(empty, "");
        }
        workshop
    }

    fn tell_slurm(&self, file: &str, text: &str) {
        fs::write(self.path("slurm").join(file), text).unwrap();
    }

    fn of_slurm(&self, file: &str) -> String {
        fs::read_to_string(self.path("slurm").join(file)).unwrap()
    }

    fn at(folder: TempDir, n_photographs: usize, n_masks: usize) -> Self {
        let workshop = Self(folder);
        fs::create_dir(workshop.path("photos")).unwrap();
        for i in 0..n_photographs {
            let rgb = (0..16 * 16 * 3).map(|at| ((at * (i + 3)) ^ (at / 48 * 7)) as u8);
            let png = Picture::new(16, 16, rgb.collect()).png();
            fs::write(workshop.path(&format!("photos/{i:02}.png")), png).unwrap();
        }
        fs::write(workshop.path("data.yaml"), "root: photos\nlayout: files\n").unwrap();
        let networks =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../cam-onnx/tests/vectors/networks");
        let models = ["residual", "excited"].map(|name| {
            let file = format!("{name}.onnx");
            fs::copy(networks.join(&file), workshop.path(&file)).unwrap();
            format!(
                "  - {{ onnx: {file}, preprocessing: {{ resize: 16, crop: 16, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }} }}\n"
            )
        });
        let models = models.concat();
        let sweep = format!(
            "name: small\ndataset: {{ manifest: data.yaml }}\nmodels:\n{models}\
             methods: [grad_cam, recipro_cam, {{ name: rise, n_masks: {n_masks} }}]\n\
             metrics: [drop, increase, {{ name: deletion, steps: 8 }}, complexity]\n"
        );
        fs::write(workshop.path("sweep.yaml"), sweep).unwrap();
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambench"));
        command.current_dir(self.0.path()).args(args).stdin(Stdio::null());
        command.env("OMP_WAIT_POLICY", "passive");
        let programs = env::var_os("PATH").unwrap_or_default();
        let programs = [self.path("slurm")].into_iter().chain(env::split_paths(&programs));
        command.env("PATH", env::join_paths(programs).unwrap());
        command.env("TMPDIR", "/tmp").env("CAMBENCH_POLL_SECS", "1");
        for name in ["CAMBENCH_SHARD", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
            command.env_remove(name);
        }
        command
    }

    /// What a command said on both ways, after its exit code was found right.
    #[track_caller]
    fn says(&self, code: i32, args: &[&str]) -> String {
        said(code, &self.command(args).output().unwrap())
    }

    fn run(&self, name: &str) -> Run {
        Run::read(&self.path(name)).unwrap()
    }
}

#[track_caller]
fn said(code: i32, output: &Output) -> String {
    let text = String::from_utf8([&output.stdout[..], &output.stderr[..]].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked at"), "{text}");
    text
}

/// Everything of a run that must not depend on who made it, bit for bit.
fn contents(run: &Run) -> Vec<String> {
    let mut lines = vec![];
    for record in run.records() {
        let mut record = record.clone();
        record.explain_secs = 0.0;
        lines.push(format!("{record:?}"));
    }
    run.visit_curves(|key, curve| lines.push(format!("{key} {curve:?}"))).unwrap();
    run.visit_maps(|key, map| lines.push(format!("{key} {map:?}"))).unwrap();
    lines
}

#[test]
fn shards_computed_anywhere_and_merged_are_the_records_of_a_local_run() {
    let workshop = Workshop::new(5, 20);
    workshop.says(0, &["run", "sweep.yaml", "--threads", "1", "--out", "whole"]);
    let plan = ["plan", "sweep.yaml", "--threads", "1", "--out", "cut", "--images-per-shard", "2"];
    let text = workshop.says(0, &[&plan[..], &["--class", "slow=rise"]].concat());
    // Two models, three ranges of images, and `rise` for itself.
    assert!(text.contains("12 shards of 30 rows"), "{text}");
    for engine in ["Kubernetes", "parallel", "cambench submit", "slow.list"] {
        assert!(text.contains(engine), "{text}");
    }
    // What a task's shell is to read is quoted for the one that it is pasted into.
    assert!(text.contains("--index $((SGE_TASK_ID-1))' | qsub "), "{text}");
    let text = workshop.says(0, &plan);
    assert!(text.contains("12 shards"), "a run is cut once: {text}");
    assert!(text.contains("stay as they are"), "{text}");

    // From another folder, by each way to say which one; the last of them by its line in a list.
    let elsewhere = tempfile::tempdir().unwrap();
    let run = workshop.path("cut");
    let list = run.join("shards/slow.list");
    assert_eq!(fs::read_to_string(&list).unwrap(), "1\n3\n5\n7\n9\n11\n");
    let shard = |args: &[&str], variable: (&str, &str)| {
        let mut command = workshop.command(&["shard", "--run"]);
        command.arg(&run).args(args).env(variable.0, variable.1).current_dir(elsewhere.path());
        command.output().unwrap()
    };
    let none = ("UNUSED", "");
    said(0, &shard(&["--index", "11"], ("SLURM_ARRAY_TASK_ID", "3")));
    said(0, &shard(&[], ("SLURM_ARRAY_TASK_ID", "10")));
    said(0, &shard(&[], ("JOB_COMPLETION_INDEX", "9")));
    said(0, &shard(&[], ("CAMBENCH_SHARD", "8")));
    said(0, &shard(&["--list", list.to_str().unwrap()], ("SLURM_ARRAY_TASK_ID", "3")));
    let again = said(0, &shard(&["--index", "7"], none));
    assert!(again.contains("shard 7: committed before"), "{again}");
    assert!(said(2, &shard(&[], none)).contains("which shard?"));
    assert!(said(3, &shard(&["--index", "12"], none)).contains("no shard 12; they are 0 to 11"));

    let status: serde_json::Value = serde_json::from_slice(
        &workshop.command(&["status", "cut", "--json"]).output().unwrap().stdout,
    )
    .unwrap();
    assert_eq!(status["shards"]["n_committed"], 5);
    assert_eq!(status["shards"]["missing"], "0-6");
    let text = workshop.says(5, &["merge", "cut"]);
    assert!(text.contains("7 of 12 shards are missing") && text.contains(": 0-6"), "{text}");
    let text = workshop.says(0, &["merge", "cut", "--partial"]);
    assert!(text.contains("of 30 rows: "), "{text}");
    assert!(fs::read_to_string(run.join("report.md")).unwrap().contains("is not complete"));

    said(0, &shard(&["--index", "0-3,4,5-6"], none));
    let text = workshop.says(0, &["merge", "cut"]);
    assert!(text.contains("30 rows, "), "{text}");
    let report = || fs::read_to_string(run.join("report.md")).unwrap();
    assert!(!report().contains("is not complete"), "{}", report());
    assert_eq!(contents(&workshop.run("cut")), contents(&workshop.run("whole")));
    let run_of_parts = workshop.run("cut");
    let made = &run_of_parts.manifest().made_on;
    assert_eq!((made.len(), made[0].n_rows, &*made[0].shards), (1, 30, "0-11"));
    // A merge that was killed before the report, or in the middle of it.
    fs::write(run.join("report.md"), "half").unwrap();
    fs::remove_file(run.join("report.html")).unwrap();
    assert!(workshop.says(0, &["merge", "cut"]).contains("the run is finished"));
    assert!(report().len() > 100 && run.join("report.html").exists());
    assert!(said(0, &shard(&["--index", "3"], none)).contains("nothing to do"));
    workshop.says(0, &["clean", "cut"]);
    for command in [&["status", "cut"][..], &["merge", "cut"], &["clean", "cut"], &plan] {
        let text = workshop.says(0, command);
        assert!(text.contains("the run is finished"), "{command:?}: {text}");
    }
    assert!(said(0, &shard(&["--index", "3"], none)).contains("nothing to do"));
    assert!(!run.join("shards").exists());
    assert_eq!(contents(&workshop.run("cut")), contents(&workshop.run("whole")));
}

#[test]
fn a_shard_that_fails_says_why_and_a_changed_program_or_data_set_computes_nothing() {
    let workshop = Workshop::new(2, 5);
    let text = workshop.says(3, &["shard", "--run", "nowhere", "--index", "0"]);
    assert!(text.contains("nowhere"), "{text}");
    workshop.says(0, &["plan", "sweep.yaml", "--threads", "1", "--out", "cut"]);
    for index in ["2", "0-9999999999", "0-18446744073709551615"] {
        let text = workshop.says(3, &["shard", "--run", "cut", "--index", index]);
        assert!(text.contains("they are 0 to 1"), "{text}");
    }
    // A network that is gone, and one that is another.
    let network = fs::read(workshop.path("excited.onnx")).unwrap();
    fs::remove_file(workshop.path("excited.onnx")).unwrap();
    let text = workshop.says(3, &["shard", "--run", "cut", "--index", "1"]);
    assert!(text.contains("excited.onnx"), "{text}");
    fs::copy(workshop.path("residual.onnx"), workshop.path("excited.onnx")).unwrap();
    let text = workshop.says(3, &["shard", "--run", "cut", "--index", "1"]);
    assert!(text.contains("its weights are another file than when the run was planned"), "{text}");
    let status = workshop.says(0, &["status", "cut"]);
    assert!(status.contains("failed: shard 1 on ") && status.contains("another file"), "{status}");
    fs::write(workshop.path("excited.onnx"), network).unwrap();
    workshop.says(0, &["shard", "--run", "cut", "--index", "1"]);
    assert!(!workshop.says(0, &["status", "cut"]).contains("failed: shard"));
    // Another list of images.
    fs::copy(workshop.path("photos/00.png"), workshop.path("photos/07.png")).unwrap();
    let text = workshop.says(3, &["shard", "--run", "cut", "--index", "0"]);
    assert!(text.contains("has other images"), "{text}");
    fs::remove_file(workshop.path("photos/07.png")).unwrap();
    // Another program.
    let path = workshop.path("cut/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let version = format!("\"cambench\": \"{}\"", env!("CARGO_PKG_VERSION"));
    fs::write(&path, text.replace(&version, "\"cambench\": \"9.9.9\"")).unwrap();
    let text = workshop.says(3, &["shard", "--run", "cut", "--index", "0"]);
    assert!(text.contains("belongs to another plan"), "{text}");
}

#[test]
fn two_processes_on_one_machine_killed_at_random_end_like_one_that_was_not() {
    let workshop = Workshop::new(12, 100);
    workshop.says(0, &["run", "sweep.yaml", "--threads", "1", "--out", "whole"]);
    let args = ["run", "sweep.yaml", "--threads", "1", "--jobs", "2", "--out", "killed"];
    let (mut n_kills, mut n_starts, mut seed) = (0, 0, 7_u64);
    // `KILLS=100 cargo test --release --workspace --test shards -- killed` is the long version.
    let most = std::env::var("KILLS").map_or(4, |n| n.parse().unwrap());
    for _ in 0..most {
        let mut run =
            workshop.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        sleep(Duration::from_millis(300 + (seed >> 33) % 900));
        if run.try_wait().unwrap().is_some() {
            // It has come to its end: from the beginning.
            fs::remove_dir_all(workshop.path("killed")).unwrap();
            n_starts += 1;
            continue;
        }
        // One of its processes first, where there is one; it is replaced, and what it made is taken over.
        for worker in children(run.id()).into_iter().take(1) {
            kill(worker);
            n_kills += 1;
            sleep(Duration::from_millis(50));
        }
        n_kills += 1;
        let workers = children(run.id());
        run.kill().unwrap();
        run.wait().unwrap();
        workers.into_iter().for_each(kill);
    }
    assert!(n_kills > 0, "all ended before they were killed");
    workshop.says(0, &args);
    println!("{n_kills} processes killed, {} times from the beginning to the end", n_starts + 1);
    assert_eq!(contents(&workshop.run("killed")), contents(&workshop.run("whole")));
    let left = leftovers(&workshop.path("killed"));
    assert_eq!(left, [""; 0], "a finished run keeps nothing that only its making needed");
    assert!(!workshop.path("killed/shards").exists());
}

/// A scheduler, a time limit or the next command may end the process that was started, and knows nothing of the others.
#[test]
fn processes_whose_parent_was_told_to_end_stop_after_the_row_in_hand() {
    // Shards of four images, a second or so for each.
    let workshop = Workshop::new(64, 20_000);
    let args = ["run", "sweep.yaml", "--threads", "1", "--jobs", "2", "--out", "run"];
    let mut run =
        workshop.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let wait_for = |what: &str, is_so: &dyn Fn() -> bool| {
        for _ in 0..600 {
            if is_so() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("after a minute: {what}");
    };
    let drafts = || {
        let entries = fs::read_dir(workshop.path("run/shards/parts")).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "draft")).count()
    };
    wait_for("two shards are begun", &|| drafts() == 2);
    let workers = children(run.id());
    assert_eq!(workers.len(), 2);
    Command::new("kill").arg(run.id().to_string()).status().unwrap();
    run.wait().unwrap();
    let is_gone = |worker: &u32| !Path::new(&format!("/proc/{worker}/exe")).exists();
    wait_for("its processes have ended", &|| workers.iter().all(is_gone));
    assert_eq!(drafts(), 2, "they went on to the ends of their shards");
}

/// What is left in a run's folder that only its making needed.
fn leftovers(run: &Path) -> Vec<String> {
    let names = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().file_name());
    let is_left = |name: &String| name.starts_with('.') || name == "journal.jsonl";
    names.map(|name| name.into_string().unwrap()).filter(is_left).collect()
}

#[test]
fn of_several_merges_at_once_each_ends_well_or_says_that_another_is_at_it() {
    let workshop = Workshop::new(4, 5);
    workshop.says(0, &["run", "sweep.yaml", "--threads", "1", "--out", "whole"]);
    let plan = ["plan", "sweep.yaml", "--threads", "1", "--out", "cut", "--images-per-shard", "1"];
    workshop.says(0, &plan);
    workshop.says(0, &["shard", "--run", "cut", "--index", "0-7"]);
    let merge = || {
        let mut merge = workshop.command(&["merge", "cut"]);
        merge.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let merges: Vec<_> = (0..4).map(|_| merge()).collect();
    let mut n_done = 0;
    for merge in merges {
        let output = merge.wait_with_output().unwrap();
        if output.status.code() == Some(0) {
            n_done += 1;
        } else {
            let text = said(3, &output);
            assert!(text.contains("another process is writing the run in "), "{text}");
        }
    }
    assert!(n_done > 0);
    assert_eq!(contents(&workshop.run("cut")), contents(&workshop.run("whole")));
    assert_eq!(leftovers(&workshop.path("cut")), [""; 0]);
    assert!(workshop.path("cut/report.md").exists());
}

/// No decision follows from the time of day or from files' times: a clock may jump, and hosts may have different ones.
#[test]
fn files_from_the_past_and_the_future_make_the_same_run() {
    let workshop = Workshop::new(4, 5);
    workshop.says(0, &["run", "sweep.yaml", "--threads", "1", "--out", "whole"]);
    let plan = ["plan", "sweep.yaml", "--threads", "1", "--out", "cut", "--images-per-shard", "2"];
    workshop.says(0, &plan);
    let jump = |n: u64| {
        let year_2096 = Duration::from_secs(4_000_000_000);
        let time = SystemTime::UNIX_EPOCH + year_2096 * u32::from(n % 2 == 1);
        let mut folders = vec![workshop.path("cut")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let file = fs::OpenOptions::new().append(true).open(path).unwrap();
                    file.set_modified(time).unwrap();
                }
            }
        }
    };
    // What a killed process left: of a host whose clock is far ahead.
    let parts = workshop.path("cut/shards/parts");
    fs::write(parts.join(".000003.elsewhere.7.ffffffffffffffff.draft"), "").unwrap();
    for shard in 0..4 {
        jump(shard);
        workshop.says(0, &["shard", "--run", "cut", "--index", &shard.to_string()]);
        assert!(workshop.says(0, &["status", "cut"]).contains(&format!("{} of 4", shard + 1)));
    }
    jump(1);
    workshop.says(0, &["merge", "cut"]);
    assert_eq!(contents(&workshop.run("cut")), contents(&workshop.run("whole")));
}

/// In a file system of its own, where the system lets one be mounted.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_fills_up_or_becomes_read_only_and_then_gets_space_loses_nothing() {
    let workshop = Workshop::new(12, 20);
    workshop.says(0, &["run", "sweep.yaml", "--threads", "1", "--out", "whole"]);
    fs::create_dir(workshop.path("small")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=64m none small || exit 77
        run() { "$0" run sweep.yaml --threads 1 --jobs "$1" --out small/run; echo "ended with $?" >&2; }
        head -c 64m /dev/zero > small/ballast
        truncate -s -64K small/ballast
        for jobs in 2 2; do run $jobs; done
        mount -o remount,ro small || exit 77
        run 2
        mount -o remount,rw small || exit 77
        rm small/ballast
        run 2
        cp -r small/run copied"#;
    // Root needs no user namespace, which many containers forbid.
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let namespaces =
        if is_root { &["--mount"][..] } else { &["--user", "--map-root-user", "--mount"] };
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_cambench"))
        .current_dir(workshop.0.path())
        .env("OMP_WAIT_POLICY", "passive")
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stderr);
            let ends: Vec<_> = text.lines().filter(|line| line.starts_with("ended with")).collect();
            let full = text.matches("no space left to write").count();
            assert!(full >= 2 && text.contains("Read-only file system"), "{text}");
            let (last, early) = ends.split_last().unwrap();
            assert_eq!((early.len(), *last), (3, "ended with 0"), "{text}");
            assert!(
                early.iter().all(|end| ["ended with 3", "ended with 5"].contains(end)),
                "{text}"
            );
            assert_eq!(contents(&workshop.run("copied")), contents(&workshop.run("whole")));
        }
        Ok(output) if ![Some(1), Some(77)].contains(&output.status.code()) => {
            panic!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        other => println!("skipped: no small file system can be mounted here ({other:?})"),
    }
}

/// The processes that a process has started.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    // Those of its threads as well, which start them.
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let paths = tasks.map(|task| task.path().join("children")).chain([path.into()]);
    let mut found: Vec<u32> = paths
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn too_many_failed_rows_end_every_command_alike() {
    let workshop = Workshop::new(1, 5);
    fs::write(workshop.path("photos/99.png"), "no picture").unwrap();
    workshop.says(0, &["plan", "sweep.yaml", "--threads", "1", "--out", "cut"]);
    workshop.says(0, &["shard", "--run", "cut", "--index", "0-1"]);
    for _ in 0..2 {
        assert!(workshop.says(4, &["merge", "cut"]).contains("6 of 12 rows failed"));
    }
    workshop.says(4, &["run", "sweep.yaml", "--threads", "1", "--out", "cut"]);
    workshop.says(0, &["merge", "cut", "--max-failed", "50%"]);
}

#[test]
fn runs_of_one_plan_in_two_folders_have_jobs_of_their_own() {
    let cluster = Workshop::on_a_cluster(2, 5);
    let submit = |out: &str| {
        let how = ["--slurm", "cpus_per_task=1", "--max-failed", "5%", "--out", out];
        cluster.says(0, &[&["submit", "sweep.yaml"][..], &how].concat())
    };
    submit("a");
    assert!(submit("b").contains("job 104: merges them"));
    // The merge waits for the jobs of its own run.
    let said = cluster.of_slurm("said");
    assert!(said.lines().last().unwrap().contains("--dependency=afterany:103 "), "{said}");
    let script = fs::read_to_string(cluster.path("b/shards/submit/merge.sh")).unwrap();
    assert!(script.contains("--max-failed 5%\n"), "{script}");
    let text = cluster.says(0, &["status", "b"]);
    assert!(text.contains("in Slurm's queue: 3 PENDING"), "{text}");
    cluster.says(0, &["cancel", "b"]);
    assert_eq!(cluster.of_slurm("canceled"), "103 104\n");
    // A merge may have been refused or canceled; a folder is cleaned only where surely no job writes into it.
    assert!(cluster.says(3, &["clean", "a"]).contains("are in Slurm's queue"));
    cluster.tell_slurm("down", "");
    assert!(cluster.says(3, &["clean", "a"]).contains("clean it where Slurm answers"));
    assert!(cluster.says(0, &["status", "a"]).contains("only files are asked"));
}

#[test]
fn a_merge_that_slurm_refused_or_lost_is_submitted_by_the_next_command() {
    let cluster = Workshop::on_a_cluster(2, 5);
    let submit = ["submit", "sweep.yaml", "--slurm", "cpus_per_task=1", "--out", "run"];
    cluster.tell_slurm("refuses", "merge.sh");
    assert!(cluster.says(3, &submit).contains("job limit reached"));
    cluster.tell_slurm("refuses", "none");
    let text = cluster.says(0, &submit);
    assert!(text.contains("job 103: merges them"), "{text}");
    assert!(cluster.of_slurm("said").contains("--dependency=afterany:101 "));
    assert!(cluster.says(0, &submit).contains("nothing to submit"));
    // All jobs are gone. Without a shard there is nothing to merge.
    cluster.tell_slurm("queue", "");
    assert!(cluster.says(0, &submit).contains("nothing to submit"));
    cluster.says(0, &["shard", "--run", "run", "--index", "0-1"]);
    cluster.tell_slurm("forgets", "");
    let text = cluster.says(5, &[&submit[..], &["--wait"]].concat());
    assert!(text.contains("merges them") && text.contains("`cambench merge "), "{text}");
    cluster.says(0, &["merge", "run"]);
    cluster.says(0, &[&submit[..], &["--wait"]].concat());
}

#[test]
fn what_a_submission_cannot_mean_is_refused_or_said() {
    let cluster = Workshop::on_a_cluster(4, 5);
    let plan = ["plan", "sweep.yaml", "--device", "cpu", "--threads", "1", "--out", "run"];
    cluster.says(0, &plan);
    let text = cluster.says(2, &["submit", "run", "--slurm", "gres=gpu:1"]);
    assert!(text.contains("is planned for the processor"), "{text}");
    let text = cluster.says(2, &["submit", "run", "--images-per-shard", "1"]);
    assert!(text.contains("go with a sweep"), "{text}");

    // A dry run of a run that is planned and not cut leaves it so.
    fs::remove_dir_all(cluster.path("run/shards")).unwrap();
    let names = || {
        let entries = fs::read_dir(cluster.path("run")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let sweep = [&["submit"][..], &plan[1..]].concat();
    let dry = ["--images-per-shard", "1", "--slurm", "gres=gpu:1", "--dry-run"];
    let text = cluster.says(0, &[&sweep[..], &dry].concat());
    assert!(text.contains("--array=0-7%") && text.contains("--gres=gpu:1"), "{text}");
    assert_eq!(names(), before);
    cluster.says(0, &plan);
    let text = cluster.says(0, &[&sweep[..], &dry].concat());
    assert!(text.contains("--array=0-1%") && text.contains("stay as they are"), "{text}");
    assert_eq!(cluster.of_slurm("said"), "");
}

#[test]
fn a_dry_run_prints_scripts_and_changes_nothing() {
    let workshop = Workshop::new(4, 5);
    let out = workshop.path("made").display().to_string();
    let text = said(
        2,
        &workshop
            .command(&["submit", "sweep.yaml", "--out", "/tmp/run", "--dry-run"])
            .output()
            .unwrap(),
    );
    assert!(text.contains("every node has its own of"), "{text}");
    let text = workshop.says(2, &["submit", "sweep.yaml", "--slurm", "array=1", "--out", &out]);
    assert!(text.contains("cambench says this itself"), "{text}");
    assert!(!workshop.path("made").exists());
    let text = workshop.says(2, &["plan", "sweep.yaml", "--class", "big=vgg16"]);
    assert!(text.contains("no model and no method `vgg16`"), "{text}");
    let text = workshop.says(2, &["plan", "sweep.yaml", "--class", "big"]);
    assert!(text.contains("is not CLASS=NAME"), "{text}");
}

#[test]
fn layers_of_a_network_are_shards_of_their_own_and_come_out_as_in_one_run_and_in_a_run_of_one_layer()
 {
    let workshop = Workshop::new(3, 10);
    let sweep = fs::read_to_string(workshop.path("sweep.yaml")).unwrap();
    let [inner, last] = ["/blocks/blocks.0/Relu_output_0", "/blocks/blocks.1/Relu_output_0"];
    let at = |layers: &str| {
        let model = format!("{{ onnx: residual.onnx, layer: {layers},");
        let layered = sweep.replace("{ onnx: residual.onnx,", &model);
        layered.replace("grad_cam,", "{ name: grad_cam, except: [excited] },")
    };
    fs::write(workshop.path("layers.yaml"), at(&format!("[{inner}, {last}]"))).unwrap();
    fs::write(workshop.path("one.yaml"), at(last)).unwrap();

    workshop.says(0, &["run", "layers.yaml", "--threads", "1", "--out", "whole"]);
    workshop.says(0, &["run", "layers.yaml", "--threads", "1", "--jobs", "2", "--out", "jobs"]);
    let plan = ["plan", "layers.yaml", "--threads", "1", "--out", "cut", "--images-per-shard", "2"];
    // All layers of a network may need another machine than the rest, or one of them.
    let text = workshop.says(0, &[&plan[..], &["--class", "slow=residual"]].concat());
    assert!(text.contains("6 shards of 24 rows"), "{text}");
    let of_slow = fs::read_to_string(workshop.path("cut/shards/slow.list")).unwrap();
    assert_eq!(of_slow.lines().count(), 4);
    workshop.says(0, &["shard", "--run", "cut", "--index", "0-5"]);
    workshop.says(0, &["merge", "cut"]);
    let whole = workshop.run("whole");
    for other in ["jobs", "cut"] {
        assert_eq!(contents(&workshop.run(other)), contents(&whole));
    }
    let text = workshop.says(0, &["verify", "cut"]);
    assert!(text.contains("24 rows"), "{text}");
    assert!(
        workshop.path(&format!("whole/grid-residual@{}.png", inner.replace('/', "-"))).is_file()
    );
    let report = fs::read_to_string(workshop.path("whole/report.md")).unwrap();
    assert!(report.contains("## Which layer?"), "{report}");
    assert!(report.contains(&format!("### residual at `{inner}`")), "{report}");

    // The gate compares a layer with the same layer.
    workshop.says(0, &["run", "one.yaml", "--threads", "1", "--out", "one"]);
    let text = workshop.says(0, &["compare", "one", "whole"]);
    assert!(text.contains("0 regressed, 0 missing"), "{text}");
    let text = workshop.says(5, &["compare", "whole", "one"]);
    assert!(text.contains("0 regressed, 12 missing"), "{text}");
}
