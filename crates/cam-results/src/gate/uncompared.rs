//! What the files of a comparison say where it could not be made: those of an earlier one must not be taken for it.

use std::fmt::Write as _;

use super::junit::{self, open_suite};
use crate::markdown::{code, escape};

/// Two runs that could not be compared.
#[derive(Clone, Copy, Debug)]
pub struct Uncompared<'a> {
    /// What the baseline is called.
    pub base: &'a str,
    /// What the new run is called.
    pub new: &'a str,
    /// Why they could not.
    pub reason: &'a str,
}

impl Uncompared<'_> {
    /// It as Markdown, fit for a comment on a pull request.
    pub fn markdown(&self) -> String {
        let Self { base, new, reason } = self;
        format!(
            "### Explanations could not be compared\n\n{} against the baseline {}:\n\n> {}\n",
            code(new),
            code(base),
            escape(reason)
        )
    }

    /// It as JUnit XML: one suite of one test case, which is an error.
    pub fn junit(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        let counts = "tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\"";
        // There may be no run to take a time from.
        open_suite(&mut xml, (0, "comparison"), "", counts, [self.base, self.new]);
        let _ = write!(
            xml,
            "    <testcase classname=\"cambench.comparison\" name=\"comparison\" time=\"0\">\
             <error type=\"not compared\" message=\"{}\"></error></testcase>\n    \
             <system-out></system-out>\n    <system-err></system-err>\n  </testsuite>\n</testsuites>\n",
            junit::escape(self.reason)
        );
        xml
    }
}
