//! Printing, where a reader may have seen enough and a disk may be full: neither is success, and neither is a bug.
//!
//! The macros have the names of the standard library's, whose panic where nothing can be written.

use std::{
    fmt,
    io::{self, Write as _},
};

use crate::exit::Exit;

/// Prints to the standard output; the program ends where that cannot be written, for what it found is lost.
macro_rules! print {
    ($($argument:tt)*) => { $crate::out::print(::std::format_args!($($argument)*)) };
}

/// Prints a line to the standard output, as [`print!`] does.
macro_rules! println {
    () => { $crate::out::print(::std::format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::out::print(::std::format_args!("{}\n", ::std::format_args!($($argument)*)))
    };
}

/// Prints a line to the standard error. Where that cannot be written, nobody can be told, and the work goes on.
macro_rules! eprintln {
    ($($argument:tt)*) => {
        $crate::out::say(::std::format_args!("{}\n", ::std::format_args!($($argument)*)))
    };
}

/// What [`print!`] and [`println!`] call.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let written = io::stdout().lock().write_fmt(text);
    end_if_failed(written);
}

/// What [`eprintln!`] calls.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Writes what a last line without an end has left.
pub(crate) fn flush() {
    end_if_failed(io::stdout().flush());
}

/// Ends the program where something could not be printed.
pub(crate) fn end_if_failed(written: io::Result<()>) {
    let Err(error) = written else { return };
    let exit = if error.kind() == io::ErrorKind::BrokenPipe {
        Exit::BrokenPipe
    } else {
        eprintln!("error: cannot write to the standard output: {error}");
        Exit::Config
    };
    std::process::exit(exit as i32);
}
