//! One file over HTTPS, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{StatusCode, header};

/// How a download goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is downloaded.
    pub url: &'a str,
    /// Bytes there already, an earlier part included.
    pub done: u64,
    /// Bytes of the whole file, where the server says so.
    pub total: Option<u64>,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server does not hand out the file.
    #[error("{url}: the server answers {status}; download the file yourself to {}", .path.display())]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// The server cannot be reached, or the connection broke.
    #[error(
        "{url}: {reason}; is there a network? Run again to go on, or download the file elsewhere to {}",
        .path.display()
    )]
    Network {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// What came is not the file that was published. It has been removed.
    #[error(
        "{url}: SHA-256 {found} does not begin with {expected}, so what came was removed; \
         run again, or download the file elsewhere to {}",
        .path.display()
    )]
    Hash {
        /// What was asked for.
        url: String,
        /// The digits that the digest begins with.
        expected: String,
        /// The digest of what came.
        found: String,
        /// Where the file belongs.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// No file of the zoo is as large.
const MAX_BYTES: u64 = 4 << 30;

/// Downloads `url` to `path` unless it is there; its SHA-256 begins with `digest`.
///
/// The bytes go to `<path>.part`, which a later call continues, and which is renamed when it is whole and verified. Of
/// several processes one downloads and the others wait for it.
pub(super) fn fetch(
    url: &str,
    path: &Path,
    digest: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), DownloadError> {
    let part = PathBuf::from(format!("{}.part", path.display()));
    let io = |source| DownloadError::Io { path: part.clone(), source };
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).open(&part).map_err(io)?;
    file.lock().map_err(io)?;
    if path.exists() {
        // Another process was faster: its part is the whole file now, or ours came into being after that and is empty.
        return match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
            _ => Ok(()),
        };
    }
    receive(url, path, &mut file, progress)?;
    file.sync_all().map_err(io)?;
    let found = super::sha256(&part).map_err(|error| io(io::Error::other(error)))?;
    if !found.starts_with(digest) {
        // Emptied and not deleted: whoever waits for the lock has this very file open.
        file.set_len(0).map_err(io)?;
        let (url, expected, path) = (url.to_owned(), digest.to_owned(), path.to_owned());
        return Err(DownloadError::Hash { url, expected, found, path });
    }
    fs::rename(&part, path).map_err(io)
}

fn receive(
    url: &str,
    path: &Path,
    file: &mut File,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), DownloadError> {
    let network = |reason: String| DownloadError::Network {
        url: url.to_owned(),
        reason,
        path: path.to_owned(),
    };
    let io = |source| DownloadError::Io { path: path.to_owned(), source };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_mins(1)))
        .build()
        .into();
    let mut done = file.seek(SeekFrom::End(0)).map_err(io)?;
    let mut request = agent.get(url);
    if done > 0 {
        request = request.header(header::RANGE, format!("bytes={done}-"));
    }
    let mut response = request.call().map_err(|error| network(error.to_string()))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if continues_at(&response, done) => {}
        StatusCode::OK => {
            file.set_len(0).map_err(io)?;
            done = 0;
        }
        // Nothing is left to send: what is there is whole, or the digest will tell.
        StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
        status => {
            let (url, path) = (url.to_owned(), path.to_owned());
            return Err(DownloadError::Status { url, status: status.as_u16(), path });
        }
    }
    let total = response.body().content_length().map(|rest| done + rest);
    if total.is_some_and(|total| total > MAX_BYTES) {
        return Err(network(format!("the server announces {} bytes", total.unwrap_or_default())));
    }
    let mut reader = response.body_mut().with_config().limit(MAX_BYTES).reader();
    let mut buffer = vec![0; 1 << 18];
    loop {
        progress(Progress { url, done, total });
        let n = reader.read(&mut buffer).map_err(|error| network(error.to_string()))?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n]).map_err(io)?;
        done += n as u64;
    }
    Ok(())
}

fn continues_at<B>(response: &ureq::http::Response<B>, start: u64) -> bool {
    response
        .headers()
        .get(header::CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with(&format!("bytes {start}-")))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    /// What the server does with a request.
    #[derive(Clone, Copy)]
    enum Manner {
        /// Sends the whole file, or the range asked for.
        Ranges,
        /// Sends the whole file whatever is asked for.
        NoRanges,
        /// Closes the connection after that many bytes of the body.
        BreaksOff(usize),
        /// Knows no such file.
        Missing,
    }

    /// Answers one request and returns its range header.
    fn serve(body: &'static [u8], manner: Manner) -> (String, JoinHandle<Option<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file.pth", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut start = None;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    start = Some(range.trim_end_matches('-').parse::<usize>().unwrap());
                }
                if line.is_empty() {
                    break;
                }
            }
            let from = start.filter(|_| matches!(manner, Manner::Ranges)).unwrap_or(0);
            let (status, range) = match manner {
                Manner::Missing => ("404 Not Found", String::new()),
                _ if from >= body.len() => ("416 Range Not Satisfiable", String::new()),
                _ if from > 0 => {
                    let range = format!(
                        "Content-Range: bytes {from}-{}/{}\r\n",
                        body.len() - 1,
                        body.len()
                    );
                    ("206 Partial Content", range)
                }
                _ => ("200 OK", String::new()),
            };
            let rest = if status.starts_with('2') { &body[from..] } else { b"" };
            let length = rest.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let sent = match manner {
                Manner::BreaksOff(n) => &rest[..n],
                _ => rest,
            };
            stream.write_all(sent).unwrap();
            start
        });
        (url, server)
    }

    const BODY: &[u8] = b"the weights of a network, several of them";

    fn digest_of(bytes: &[u8]) -> String {
        use sha2::Digest;
        cam_core::hex(&sha2::Sha256::digest(bytes))
    }

    #[test]
    fn a_file_comes_whole_and_progress_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file.pth");
        let (url, server) = serve(BODY, Manner::Ranges);
        let mut told = Vec::new();
        fetch(&url, &path, &digest_of(BODY)[..8], &mut |p| told.push((p.done, p.total))).unwrap();
        assert_eq!(fs::read(&path).unwrap(), BODY);
        assert_eq!(server.join().unwrap(), None);
        let total = BODY.len() as u64;
        assert_eq!(
            (told.first(), told.last()),
            (Some(&(0, Some(total))), Some(&(total, Some(total))))
        );
        // It is there now: no server is asked.
        fetch(&url, &path, "00000000", &mut |_| panic!("nothing is downloaded")).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no part is left");
    }

    #[test]
    fn a_broken_download_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pth");
        let (url, server) = serve(BODY, Manner::BreaksOff(13));
        let error = fetch(&url, &path, &digest_of(BODY), &mut |_| {}).unwrap_err();
        assert!(matches!(error, DownloadError::Network { .. }), "{error}");
        assert!(error.to_string().contains("Run again to go on"), "{error}");
        server.join().unwrap();
        assert!(!path.exists());
        let (url, server) = serve(BODY, Manner::Ranges);
        fetch(&url, &path, &digest_of(BODY), &mut |_| {}).unwrap();
        assert_eq!(server.join().unwrap(), Some(13));
        assert_eq!(fs::read(&path).unwrap(), BODY);
    }

    #[test]
    fn a_server_without_ranges_sends_everything_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pth");
        fs::write(folder.path().join("file.pth.part"), &BODY[..9]).unwrap();
        let (url, server) = serve(BODY, Manner::NoRanges);
        fetch(&url, &path, &digest_of(BODY), &mut |_| {}).unwrap();
        assert_eq!(server.join().unwrap(), Some(9));
        assert_eq!(fs::read(&path).unwrap(), BODY);
    }

    #[test]
    fn a_part_that_is_whole_already_is_only_verified() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pth");
        fs::write(folder.path().join("file.pth.part"), BODY).unwrap();
        let (url, server) = serve(BODY, Manner::Ranges);
        fetch(&url, &path, &digest_of(BODY), &mut |_| {}).unwrap();
        assert_eq!(server.join().unwrap(), Some(BODY.len()));
        assert_eq!(fs::read(&path).unwrap(), BODY);
    }

    #[test]
    fn a_wrong_hash_removes_what_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pth");
        let (url, server) = serve(BODY, Manner::Ranges);
        let error = fetch(&url, &path, "f37072fd", &mut |_| {}).unwrap_err();
        server.join().unwrap();
        assert!(matches!(error, DownloadError::Hash { .. }), "{error}");
        assert!(error.to_string().contains(&digest_of(BODY)), "{error}");
        assert!(!path.exists());
        assert_eq!(fs::read(folder.path().join("file.pth.part")).unwrap(), b"");
    }

    #[test]
    fn whoever_waited_for_another_process_finds_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("file.pth"), folder.path().join("file.pth.part"));
        let other = File::create(&part).unwrap();
        other.lock().unwrap();
        let waiting = thread::spawn({
            let path = path.clone();
            // Nobody listens at this port.
            move || fetch("http://127.0.0.1:9/file.pth", &path, "f37072fd", &mut |_| {})
        });
        // Long enough to open the part and wait; in less it would find the whole file, which is as good.
        thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished(), "it did not wait");
        fs::rename(&part, &path).unwrap();
        drop(other);
        waiting.join().unwrap().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no part is left");
    }

    #[test]
    fn a_missing_file_and_a_missing_server_say_where_the_file_belongs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pth");
        let (url, server) = serve(BODY, Manner::Missing);
        let error = fetch(&url, &path, "f37072fd", &mut |_| {}).unwrap_err();
        server.join().unwrap();
        assert!(matches!(error, DownloadError::Status { status: 404, .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        // The listener is gone, so nobody answers at its port.
        let error = fetch(&url, &path, "f37072fd", &mut |_| {}).unwrap_err();
        assert!(matches!(error, DownloadError::Network { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
