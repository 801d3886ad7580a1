//! `cambench`: the command line. The only crate that prints and decides on exit codes.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod args;
mod baseline;
mod check;
mod cluster;
mod compare;
mod exit;
mod explain;
mod hook;
mod inspect;
mod list;
mod progress;
mod report;
mod run;
mod table;
mod trace;
mod verify;

use clap::Parser;

use crate::{
    args::{Args, Command},
    exit::Exit,
};

fn main() -> std::process::ExitCode {
    quiet_guarded_panics();
    let args = Args::parse();
    // Whatever panics outside of a row is a bug, and has said so.
    std::panic::catch_unwind(|| dispatch(args)).unwrap_or(Exit::Bug).into()
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
/// A reader who has seen enough, as in `cambench list models | head`, is no bug either.
fn quiet_guarded_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref().map_or("", String::as_str);
        if message.starts_with("failed printing to stdout") {
            std::process::exit(0);
        }
        if !cam_runner::is_guarded() {
            print(panic);
        }
    }));
}
