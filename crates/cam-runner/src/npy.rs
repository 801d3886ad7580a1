//! Maps that other tools made: NumPy's `.npy` files of two dimensions.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. tch reads it as well, and believes
//! the shape that a file claims: a file that is cut off would be read past its end.

use std::path::Path;

use cam_core::{MAX_SIDE, read_file};
use tch::{Kind, Tensor};

/// Reads a map, `[h, w]`, as 32-bit floats.
///
/// # Errors
/// A message for people, with the path: where the file cannot be read, is no `.npy` file of little-endian real numbers, has
/// not two dimensions of 1 to 4096, or holds more or fewer numbers than its shape.
pub fn read_map(path: &Path) -> Result<Tensor, String> {
    const MAX_HEADER: u64 = 1 << 16;
    let side = u64::from(MAX_SIDE);
    let wrong = |why: String| format!("cannot read the map {}: {why}", path.display());
    let bytes =
        read_file(path, 8 * side * side + MAX_HEADER).map_err(|error| wrong(error.to_string()))?;
    let (header, data) = split(&bytes).map_err(wrong)?;
    let Header { kind, is_transposed, shape } = Header::parse(header).map_err(wrong)?;
    let [height, width] = shape[..] else {
        return Err(format!(
            "the map {} has the shape {shape:?}; it needs two dimensions",
            path.display()
        ));
    };
    if ![height, width].iter().all(|of| (1..=i64::from(MAX_SIDE)).contains(of)) {
        return Err(wrong(format!("its shape {shape:?} is not of 1 to {MAX_SIDE} numbers a side")));
    }
    let expected = (height * width) as usize * kind.elt_size_in_bytes();
    if data.len() != expected {
        return Err(wrong(format!(
            "its shape {shape:?} takes {expected} bytes, and there are {}",
            data.len()
        )));
    }
    let stored = if is_transposed { [width, height] } else { [height, width] };
    let map =
        Tensor::f_from_data_size(data, &stored, kind).map_err(|error| wrong(error.to_string()))?;
    let map = if is_transposed { map.tr() } else { map };
    Ok(map.to_kind(Kind::Float).contiguous())
}

/// The header's text, and what follows it.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let no_npy = || "it is no .npy file".to_string();
    let cut_off = || "its header is cut off".to_string();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(no_npy)?;
    let (&[major, _minor], rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(format!("it is of version {other} of the format; 1 to 3 are known")),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    Ok((std::str::from_utf8(header).map_err(|_no_text| "its header is no text")?, data))
}

/// What a header says, a Python dictionary such as `{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7), }`.
#[derive(Debug, PartialEq)]
struct Header {
    kind: Kind,
    is_transposed: bool,
    shape: Vec<i64>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            let at = text.find(&format!("'{key}'")).ok_or(format!("its header has no `{key}`"))?;
            let rest = text[at + key.len() + 2..].trim_start();
            rest.strip_prefix(':').map(str::trim_start).ok_or(format!("its `{key}` has no value"))
        };
        let descr = value("descr")?;
        let descr = descr.strip_prefix('\'').and_then(|text| text.split('\'').next());
        let kind = match descr.ok_or("its `descr` is no type of plain numbers")? {
            "<f2" => Kind::Half,
            "<f4" => Kind::Float,
            "<f8" => Kind::Double,
            "<i8" => Kind::Int64,
            "<i4" => Kind::Int,
            "<i2" => Kind::Int16,
            "|i1" => Kind::Int8,
            "|u1" => Kind::Uint8,
            "|b1" => Kind::Bool,
            other => return Err(format!("its numbers are `{other}`; save it as `<f4`")),
        };
        let order = value("fortran_order")?;
        let is_transposed = match (order.starts_with("True"), order.starts_with("False")) {
            (false, false) => return Err("its `fortran_order` is neither True nor False".into()),
            (is_transposed, _) => is_transposed,
        };
        let shape = value("shape")?.strip_prefix('(').and_then(|text| text.split(')').next());
        let sides = shape.ok_or("its `shape` is no tuple")?.split(',').map(str::trim);
        let shape = sides.filter(|side| !side.is_empty()).map(str::parse).collect::<Result<_, _>>();
        let shape = shape.map_err(|_no_number| "its `shape` is not of numbers")?;
        Ok(Self { kind, is_transposed, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1.
    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<f32>>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.npy");
        std::fs::write(&path, bytes).unwrap();
        let map = read_map(&path).map_err(|error| error.replace(path.to_str().unwrap(), "FILE"))?;
        Ok(Vec::try_from(map).unwrap())
    }

    #[test]
    fn maps_are_read_in_either_order_and_from_any_real_type() {
        let rows = vec![vec![0.0, 1.0, 2.0], vec![3.0, 4.0, 5.0]];
        let header = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}  \n")
        };
        let numbers: Vec<u8> = (0..6).collect();
        assert_eq!(read(&npy(&header("|u1", "False", "2, 3"), &numbers)).unwrap(), rows);
        assert_eq!(read(&npy(&header("|u1", "True", "2, 3"), &[0, 3, 1, 4, 2, 5])).unwrap(), rows);
        let floats: Vec<u8> = numbers.iter().flat_map(|&n| f64::from(n).to_le_bytes()).collect();
        assert_eq!(read(&npy(&header("<f8", "False", "2, 3"), &floats)).unwrap(), rows);
    }

    #[test]
    fn a_shape_is_not_believed() {
        let header = |shape: &str| {
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n")
        };
        for (shape, expected) in [
            ("2, 2", "cannot read the map FILE: its shape [2, 2] takes 16 bytes, and there are 12"),
            ("1, 2", "cannot read the map FILE: its shape [1, 2] takes 8 bytes, and there are 12"),
            ("3,", "the map FILE has the shape [3]; it needs two dimensions"),
            (
                "4611686018427387904, 4",
                "cannot read the map FILE: its shape [4611686018427387904, 4] is not of 1 to 4096 numbers a side",
            ),
            (
                "-1, 3",
                "cannot read the map FILE: its shape [-1, 3] is not of 1 to 4096 numbers a side",
            ),
            ("18446744073709551616, 3", "cannot read the map FILE: its `shape` is not of numbers"),
        ] {
            assert_eq!(read(&npy(&header(shape), &[0; 12])).unwrap_err(), expected);
        }
    }
}
