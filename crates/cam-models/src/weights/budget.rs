//! A look over a file of PyTorch's before it is read: what it would take to read it, whatever it claims.
//!
//! A ZIP archive can be compressed a thousandfold and a pickle makes an object of eighty bytes out of one byte, so that a file
//! of a hundred kilobytes could ask for gigabytes. `torch.save` compresses nothing, and a state dict takes some forty steps
//! of its pickle for each tensor.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

/// The most steps that the pickles of a file may take; a network of a thousand tensors with its optimizer takes a tenth.
const MAX_STEPS: usize = 2_000_000;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 200_000;

/// Where a TAR archive says that it is one, and how.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Says why a file is not read. What is broken otherwise is left for the reader to say.
pub(super) fn check(mut file: &File) -> Result<(), String> {
    let mut start = vec![];
    file.take((TAR.0 + TAR.1.len()) as u64).read_to_end(&mut start).map_err(|e| e.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    if start.starts_with(b"PK") {
        archive(file)
    } else if start.get(TAR.0..) == Some(TAR.1) {
        Err("it is a TAR archive, which PyTorch wrote before version 0.1.10".to_owned())
    } else {
        Steps::default().count(&mut BufReader::new(file)).map(drop)
    }
}

fn archive(file: &File) -> Result<(), String> {
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| format!("ZIP archive: {error}"))?;
    if archive.len() > MAX_ENTRIES {
        return Err(format!("the archive has {} entries", archive.len()));
    }
    let mut steps = Steps::default();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| format!("ZIP archive: {error}"))?;
        let name = entry.name().map_err(|error| format!("ZIP archive: {error}"))?.into_owned();
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!("`{name}` is compressed, which torch.save never does"));
        }
        if Path::new(&name).extension().is_some_and(|extension| extension == "pkl") {
            steps.count(&mut BufReader::new(entry))?;
        }
    }
    Ok(())
}

/// How many steps pickles have taken so far.
#[derive(Default)]
struct Steps(usize);

impl Steps {
    /// Goes through pickles, one behind the other, as far as they are pickles, and makes nothing of them.
    fn count(&mut self, reader: &mut impl BufRead) -> Result<(), String> {
        while let Ok(Some(())) = step(reader) {
            self.0 += 1;
            if self.0 > MAX_STEPS {
                return Err(format!("its pickle takes more than {MAX_STEPS} steps"));
            }
        }
        Ok(())
    }
}

/// Goes over one opcode with its argument (Python's `pickletools` lists them); `None` at the end, and where there is none.
fn step(reader: &mut impl BufRead) -> io::Result<Option<()>> {
    let mut opcode = [0];
    if reader.read(&mut opcode)? == 0 {
        return Ok(None);
    }
    let length = match opcode[0] {
        b'K' | b'h' | b'q' | 0x80 | 0x82 => 1,
        b'M' | 0x83 => 2,
        b'J' | b'j' | b'r' | 0x84 => 4,
        b'G' | 0x95 => 8,
        // Behind its length: in one byte, in four, in eight.
        b'U' | b'C' | 0x8a | 0x8c => number::<1>(reader)?,
        b'T' | b'X' | b'B' | 0x8b => number::<4>(reader)?,
        0x8d | 0x8e | 0x96 => number::<8>(reader)?,
        // Up to the end of the line, or of the next one.
        b'I' | b'L' | b'F' | b'V' | b'g' | b'p' | b'P' => line(reader)?,
        b'c' => {
            line(reader)?;
            line(reader)?
        }
        b'('
        | b'.'
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'R'
        | b'b'
        | b'd'
        | b'l'
        | b't'
        | b's'
        | b'a'
        | b')'
        | b']'
        | b'}'
        | b'e'
        | b'u'
        | b'Q'
        | 0x81
        | 0x85..=0x89
        | 0x8f..=0x94
        | 0x97
        | 0x98 => 0,
        _ => return Ok(None),
    };
    let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok((skipped == length).then_some(()))
}

fn number<const N: usize>(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes[..N])?;
    Ok(u64::from_le_bytes(bytes))
}

/// Goes over a line; nothing is left of it to go over.
fn line(reader: &mut impl BufRead) -> io::Result<u64> {
    loop {
        let block = reader.fill_buf()?;
        let end = block.iter().position(|byte| *byte == b'\n');
        let (n, is_over) =
            (end.map_or(block.len(), |at| at + 1), end.is_some() || block.is_empty());
        reader.consume(n);
        if is_over {
            return Ok(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_over_every_kind_of_argument() {
        // Two pickles: `{'ab': (1, 1.5)}` by protocol 2, and `[1]` by protocol 0.
        let pickles = b"\x80\x02}X\x02\0\0\0abK\x01G\x3f\xf8\0\0\0\0\0\0\x86s.(lp0\nI1\na.";
        let mut steps = Steps::default();
        steps.count(&mut &pickles[..]).unwrap();
        assert_eq!(steps.0, 8 + 6);
        // What follows is no pickle, and is left alone.
        let mut steps = Steps::default();
        steps.count(&mut &b"N.\xffNNN"[..]).unwrap();
        assert_eq!(steps.0, 2);
    }

    #[test]
    fn a_pickle_of_too_many_steps_is_refused() {
        let steps = |n| Steps::default().count(&mut &vec![b'N'; n][..]);
        assert!(steps(MAX_STEPS).is_ok());
        assert_eq!(steps(MAX_STEPS + 1).unwrap_err(), "its pickle takes more than 2000000 steps");
    }
}
