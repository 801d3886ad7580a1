//! Wheels into the cache: resumed, shown while they come, and verified before anything is taken out of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::pip;
use crate::wheels::Wheel;

/// Does the transfer; Python has TLS, proxies and certificates where pip works, and no crate of ours is needed.
const SCRIPT: &str = include_str!("download.py");

/// The folder of wheels in the cache.
pub(crate) fn folder(cache: &Path) -> PathBuf {
    cache.join("downloads")
}

/// How much of the wheel is still to be downloaded, judged by sizes alone.
pub(crate) fn remaining(wheel: &Wheel, folder: &Path) -> u64 {
    let size = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    if size(folder.join(wheel.file)) == wheel.bytes {
        return 0;
    }
    wheel.bytes.saturating_sub(size(part(wheel, folder)))
}

/// Brings the wheels into the folder, in their order; each is verified before the next begins.
pub(crate) fn obtain_all(wheels: &[&Wheel], folder: &Path) -> Result<()> {
    let incoming: Vec<&Wheel> =
        wheels.iter().copied().filter(|wheel| remaining(wheel, folder) > 0).collect();
    let mut addresses = None;
    if !incoming.is_empty() {
        eprintln!("asking pip where the files are");
        addresses = pip::addresses(&incoming)?;
    }
    let none = BTreeMap::new();
    for wheel in wheels {
        let number =
            incoming.iter().position(|other| other.file == wheel.file).unwrap_or_default() + 1;
        let label = format!("[{number}/{}] {}", incoming.len(), wheel.requirement);
        let address = addresses.as_ref().unwrap_or(&none).get(wheel.file);
        obtain(wheel, address.map(String::as_str), &label, folder)?;
    }
    Ok(())
}

/// Brings one wheel into the folder. Without an address pip downloads it.
fn obtain(wheel: &Wheel, address: Option<&str>, label: &str, folder: &Path) -> Result<()> {
    let (whole, part) = (folder.join(wheel.file), part(wheel, folder));
    if whole.exists() {
        return verify(&whole, wheel);
    }
    if remaining(wheel, folder) > 0 {
        let fetched = match address {
            Some(address) => fetch(address, &part, wheel.bytes, label),
            None => Err(anyhow::anyhow!("this pip does not tell addresses")),
        };
        if let Err(reason) = fetched {
            eprintln!("{label}: {reason}; leaving it to pip");
            let aside = folder.join("by-pip");
            pip::download(wheel, &aside)?;
            let file = aside.join(wheel.file);
            ensure!(file.exists(), "pip downloaded another file than {}", wheel.file);
            fs::rename(file, &part)?;
            fs::remove_dir_all(aside)?;
        }
    }
    verify(&part, wheel)?;
    fs::rename(&part, &whole).with_context(|| format!("naming {}", whole.display()))
}

fn part(wheel: &Wheel, folder: &Path) -> PathBuf {
    folder.join(format!("{}.part", wheel.file))
}

/// Continues `part` from `address` until it has `bytes`.
fn fetch(address: &str, part: &Path, bytes: u64, label: &str) -> Result<()> {
    let mut child = Command::new(pip::PYTHON)
        .args(["-c", SCRIPT, address])
        .arg(part)
        .args([&bytes.to_string(), label])
        .stdin(Stdio::piped()) // closed by our end, however it comes
        .spawn()
        .with_context(|| format!("starting {}", pip::PYTHON))?;
    let open = child.stdin.take();
    let status = child.wait()?;
    drop(open);
    match status.code() {
        Some(0) => Ok(()),
        Some(130) => std::process::exit(130),
        _ => bail!("the direct download failed"),
    }
}

/// Checks the SHA-256, and removes a file that fails.
fn verify(path: &Path, wheel: &Wheel) -> Result<()> {
    if digest(path)? == wheel.sha256 {
        return Ok(());
    }
    fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
    bail!(
        "{} has not the SHA-256 that is pinned for {}, and was removed. Run the same command again; \
         if it comes back, the index that pip asks serves another file",
        path.display(),
        wheel.requirement
    )
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn digest(path: &Path) -> Result<String> {
    use std::fmt::Write as _;

    let context = || format!("reading {}", path.display());
    let mut hasher = Sha256::new();
    let mut file = File::open(path).with_context(context)?;
    let mut block = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut block).with_context(context)? {
            0 => break,
            n => hasher.update(&block[..n]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    }))
}

/// Free bytes on the disk of a folder, if that can be told.
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let script = "import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free)";
    let output = Command::new(pip::PYTHON)
        .args(["-c", script])
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Serves `content`, at most `per_connection` bytes at a time and only whole if `ranges` is off. Returns its address
    /// and the first byte that each request asked for.
    fn serve(content: Vec<u8>, per_connection: usize, ranges: bool) -> (String, Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/a.whl", listener.local_addr().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                let asked = request.lines().find_map(|line| line.strip_prefix("Range: bytes="));
                let start: usize =
                    asked.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
                sender.send(start).unwrap();
                let (status, start) = match (ranges, start) {
                    (true, 1..) if start >= content.len() => {
                        ("416 Range Not Satisfiable", content.len())
                    }
                    (true, 1..) => ("206 Partial Content", start),
                    _ => ("200 OK", 0),
                };
                let body = &content[start..];
                let head = format!("HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&body[..body.len().min(per_connection)]).unwrap();
            }
        });
        (address, receiver)
    }

    fn content() -> Vec<u8> {
        (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    fn wheel(content: &[u8]) -> Wheel {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, content).unwrap();
        let sha256 = Box::leak(digest(&path).unwrap().into_boxed_str());
        Wheel {
            requirement: "a==1",
            file: "a.whl",
            bytes: content.len() as u64,
            sha256,
            takes: &[],
        }
    }

    #[test]
    fn a_started_download_is_continued_where_it_stopped() {
        let (content, folder) = (content(), tempfile::tempdir().unwrap());
        let wheel = wheel(&content);
        fs::write(folder.path().join("a.whl.part"), &content[..150_000]).unwrap();
        assert_eq!(remaining(&wheel, folder.path()), 250_000);
        let (address, requests) = serve(content.clone(), usize::MAX, true);
        obtain(&wheel, Some(&address), "a", folder.path()).unwrap();
        assert_eq!(requests.try_iter().collect::<Vec<_>>(), [150_000]);
        assert_eq!(fs::read(folder.path().join("a.whl")).unwrap(), content);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(remaining(&wheel, folder.path()), 0);
    }

    #[test]
    fn a_connection_that_breaks_is_taken_up_again() {
        let (content, folder) = (content(), tempfile::tempdir().unwrap());
        let (address, requests) = serve(content.clone(), 170_000, true);
        obtain(&wheel(&content), Some(&address), "a", folder.path()).unwrap();
        assert_eq!(requests.try_iter().collect::<Vec<_>>(), [0, 170_000, 340_000]);
    }

    #[test]
    fn a_server_without_ranges_sends_it_all_again() {
        let (content, folder) = (content(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join("a.whl.part"), vec![0; 150_000]).unwrap();
        let (address, _requests) = serve(content.clone(), usize::MAX, false);
        obtain(&wheel(&content), Some(&address), "a", folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("a.whl")).unwrap(), content);
    }

    #[test]
    fn a_wrong_file_is_removed_and_named() {
        let (content, folder) = (content(), tempfile::tempdir().unwrap());
        let (mut other, wheel) = (content.clone(), wheel(&content));
        other[300_000] ^= 1;
        let (address, _requests) = serve(other.clone(), usize::MAX, true);
        let error = obtain(&wheel, Some(&address), "a", folder.path()).unwrap_err().to_string();
        assert!(error.contains("SHA-256") && error.contains("a.whl.part"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::write(folder.path().join("a.whl"), other).unwrap();
        obtain(&wheel, None, "a", folder.path()).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_download_that_was_complete_but_not_yet_named_needs_no_network() {
        let (content, folder) = (content(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join("a.whl.part"), &content).unwrap();
        obtain(&wheel(&content), None, "a", folder.path()).unwrap();
        assert!(folder.path().join("a.whl").exists());
    }

    #[test]
    fn free_space_is_known() {
        assert!(free_space(Path::new("/")).unwrap() > 0);
    }
}
