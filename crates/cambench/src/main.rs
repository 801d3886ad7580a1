//! `cambench`: the command line. The only crate that prints and decides on exit codes.

// First, for its macros.
#[macro_use]
mod out;

mod args;
mod baseline;
mod check;
mod cluster;
mod compare;
mod ending;
mod exit;
mod explain;
mod hook;
mod inspect;
mod list;
mod planning;
mod progress;
mod report;
mod run;
mod table;
mod trace;
mod verify;

use std::any::Any;

use cam_runner::PlanError;
use clap::Parser;

use crate::{
    args::{Args, Command},
    exit::Exit,
};

fn main() -> std::process::ExitCode {
    quiet_guarded_panics();
    let args = Args::try_parse().unwrap_or_else(|said| {
        // Help that was asked for, or what is wrong.
        let printed = said.print();
        if !said.use_stderr() {
            out::end_if_failed(printed);
        }
        std::process::exit(said.exit_code())
    });
    let exit =
        std::panic::catch_unwind(|| dispatch(args)).unwrap_or_else(|panic| of_panic(&*panic));
    out::flush();
    exit.into()
}

fn dispatch(args: Args) -> Exit {
    let result = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Report(args) => report::report(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Baseline(args) => baseline::baseline(&args.command),
        Command::Verify(args) => verify::verify(&args),
        Command::Plan(args) => cluster::plan(&args),
        Command::Shard(args) => cluster::shard(&args),
        Command::Submit(args) => cluster::submit(&args),
        Command::Status(args) => cluster::status(&args),
        Command::Merge(args) => cluster::merge(&args),
        Command::Logs(args) => cluster::logs(&args),
        Command::Cancel(args) => cluster::cancel(&args.run),
        Command::Clean(args) => cluster::clean(&args.run),
        Command::List(args) => list::list(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Hook(args) => hook::hook(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", described(&error));
        Exit::of(&error)
    })
}

/// The code of a panic outside of a row: a device that broke down, or a bug, which has said so.
fn of_panic(panic: &(dyn Any + Send)) -> Exit {
    match PlanError::of_panic(panic) {
        Some(broke) => {
            eprintln!("error: {broke}");
            Exit::Incomplete
        }
        None => Exit::Bug,
    }
}

/// An error and its causes; one that quotes its cause is not followed by it.
fn described(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A panic inside a row becomes a failed row with its message; printing it as well would only tear the progress bar.
fn quiet_guarded_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !cam_runner::is_guarded() {
            print(panic);
        }
    }));
}
