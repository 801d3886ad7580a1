//! Files that anybody may have made: read whole, as far as they are files and no larger than any real one.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// The most bytes of a file that people write by hand: a sweep, a data set's manifest.
pub const MAX_TEXT: u64 = 1 << 20;

/// How deep lists and maps may be nested in such a file; its parser takes time by the square of that.
const MAX_DEPTH: usize = 200;

/// Opens a file for reading. A pipe would let the reader wait for ever, and a device may have no end.
///
/// # Errors
/// Where there is no such file, it may not be read, or it is not a file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return File::open(path);
    }
    let what = if metadata.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

/// The bytes of a file, `limit` at most.
///
/// # Errors
/// As [`open_file`], and where it holds more bytes than that.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    let length = file.metadata()?.len();
    let mut bytes = vec![];
    if length <= limit {
        bytes.try_reserve_exact(length as usize)?;
        // It may be growing, and some files of the kernel's say that they are empty.
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    match length.max(bytes.len() as u64) {
        length if length > limit => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has {length} bytes, more than the limit of {limit}"),
        )),
        _ => Ok(bytes),
    }
}

/// The text of a file, `limit` bytes at most.
///
/// # Errors
/// As [`read_file`], and where it is not UTF-8.
pub fn read_text_file(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_file(path, limit)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8 from byte {at} on"))
    })
}

/// The text of a YAML file that people write by hand.
///
/// # Errors
/// As [`read_text_file`], and where its lists and maps are nested deeper than anybody would write them.
pub fn read_yaml_file(path: &Path) -> io::Result<String> {
    let text = read_text_file(path, MAX_TEXT)?;
    match depth(&text) {
        ..=MAX_DEPTH => Ok(text),
        deeper => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its lists and maps are nested {deeper} deep; the limit is {MAX_DEPTH}"),
        )),
    }
}

/// About how deep lists and maps are nested: brackets that are open, and dashes at the start of a line.
fn depth(yaml: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for line in yaml.lines() {
        let start = line.split(|letter| letter != '-' && letter != ' ').next().unwrap_or_default();
        deepest = deepest.max(open + start.matches("- ").count());
        for letter in line.chars() {
            match letter {
                '[' | '{' => open += 1,
                ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(open);
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_of_open_brackets_and_leading_dashes() {
        assert_eq!(depth("a: [{ b: [1] }, [2]]\nc: d - e"), 3);
        assert_eq!(depth("a:\n  - - - b: 1\n"), 3);
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_no_further() {
        let path = std::env::temp_dir().join(format!("cam-core-files-{}", std::process::id()));
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text_file(&path, 5).unwrap(), "12345");
        let error = read_file(&path, 4).unwrap_err();
        assert_eq!(error.to_string(), "it has 5 bytes, more than the limit of 4");
        fs::write(&path, [b'a', 0xff]).unwrap();
        let error = read_text_file(&path, 5).unwrap_err();
        assert_eq!(error.to_string(), "it is not UTF-8 from byte 1 on");
        fs::remove_file(&path).unwrap();
        let error = read_file(&std::env::temp_dir(), 4).unwrap_err();
        assert_eq!(error.to_string(), "it is a folder, not a file");
    }
}
