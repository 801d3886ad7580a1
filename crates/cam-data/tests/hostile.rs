//! Files that are not what they should be: each is refused with a message that names it, and nothing panics.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use cam_core::{Interpolation, Preprocessing, Resize};
use cam_data::{DataError, Orientation, Photo};
use tempfile::TempDir;

const PREPROCESSING: Preprocessing = Preprocessing {
    resize: Resize::Shorter(48),
    crop: 40,
    interpolation: Interpolation::Bilinear,
    mean: [0.0; 3],
    std: [1.0; 3],
};

/// The error for a file `name` of these bytes, and its message with `set` for its folder.
fn refused(name: &str, bytes: &[u8]) -> (DataError, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    error_of(&path, folder.path())
}

fn error_of(path: &Path, folder: &Path) -> (DataError, String) {
    let error = Photo::open(path, &PREPROCESSING, Orientation::Apply).err().expect("it is refused");
    let message = error.to_string().replace(folder.to_str().unwrap(), "set");
    (error, message)
}

fn decode(bytes: &[u8]) -> Result<Photo, DataError> {
    Photo::from_bytes(bytes, Path::new("photo"), &PREPROCESSING, Orientation::Apply)
}

fn image(name: &str) -> Vec<u8> {
    fs::read(images().join(name)).unwrap()
}

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/images")
}

#[test]
fn a_text_under_an_images_name_is_no_image() {
    let (_, message) = refused("notes.jpg", b"These are notes, not pixels.\n");
    assert_eq!(message, "set/notes.jpg is neither a JPEG nor a PNG image, whatever its name says");
    let (_, message) = refused("moving.png", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;");
    assert_eq!(message, "set/moving.png is neither a JPEG nor a PNG image, whatever its name says");
}

#[test]
fn an_image_under_another_images_name_is_decoded_by_its_content() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("really-a-png.jpg");
    fs::copy(images().join("png-rgb.png"), &path).unwrap();
    assert!(Photo::open(&path, &PREPROCESSING, Orientation::Ignore).is_ok());
}

#[test]
fn an_empty_file_is_refused() {
    assert_eq!(refused("empty.jpg", b"").1, "set/empty.jpg is empty (0 bytes)");
}

#[test]
fn a_missing_file_and_a_folder_cannot_be_read() {
    let folder = TempDir::new().unwrap();
    let (_, message) = error_of(&folder.path().join("gone.jpg"), folder.path());
    assert!(message.starts_with("cannot read set/gone.jpg: "), "{message}");
    fs::create_dir(folder.path().join("x.jpg")).unwrap();
    let (_, message) = error_of(&folder.path().join("x.jpg"), folder.path());
    assert!(message.starts_with("cannot read set/x.jpg: "), "{message}");
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_cannot_be_read() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret.jpg");
    fs::copy(images().join("jpeg-gray.jpg"), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        println!("skipped: root reads everything");
        return;
    }
    let (_, message) = error_of(&path, folder.path());
    assert!(message.starts_with("cannot read set/secret.jpg: "), "{message}");
}

#[test]
fn a_jpeg_that_is_cut_off_anywhere_is_refused() {
    for name in
        ["jpeg-420-odd.jpg", "jpeg-420-progressive.jpg", "jpeg-420-restarts.jpg", "jpeg-turned.jpg"]
    {
        let whole = image(name);
        assert!(decode(&whole).is_ok(), "{name}");
        for length in (0..whole.len()).step_by(7).chain(whole.len() - 4..whole.len()) {
            assert!(decode(&whole[..length]).is_err(), "{name}, the first {length} bytes");
        }
    }
    let (_, message) = refused("half.jpg", &image("jpeg-420-odd.jpg")[..2000]);
    assert_eq!(message, "set/half.jpg cannot be decoded: the JPEG data is cut off");
}

#[test]
fn a_cut_is_seen_behind_a_thumbnail_and_a_trailer_is_not_taken_for_one() {
    let whole = image("jpeg-420-odd.jpg");
    // A thumbnail in a comment has an end-of-image marker of its own.
    let thumbnail = image("jpeg-gray.jpg");
    let length = u16::try_from(thumbnail.len() + 2).unwrap().to_be_bytes();
    let with_thumbnail = [&whole[..2], &[0xff, 0xfe], &length, &thumbnail, &whole[2..]].concat();
    assert!(decode(&with_thumbnail).is_ok());
    assert!(decode(&with_thumbnail[..with_thumbnail.len() - 2]).is_err());
    // Phones append films, in which any bytes may stand, also those that begin a scan.
    let with_film = [&whole[..], b"film \xff\xda film"].concat();
    assert!(decode(&with_film).is_ok());
}

#[test]
fn a_png_that_is_cut_off_in_its_pixels_is_refused() {
    for name in ["png-rgb.png", "png-palette.png", "png-gray-16-bit.png"] {
        let whole = image(name);
        // The last chunk holds nothing: 12 bytes behind the pixels.
        for length in (0..whole.len() - 12).step_by(7) {
            assert!(decode(&whole[..length]).is_err(), "{name}, the first {length} bytes");
        }
    }
    let (_, message) = refused("half.png", &image("png-rgb.png")[..2000]);
    assert!(message.starts_with("set/half.png cannot be decoded: "), "{message}");
}

#[test]
fn a_damaged_byte_never_panics() {
    for name in [
        "jpeg-420-odd.jpg",
        "jpeg-420-progressive.jpg",
        "jpeg-cmyk.jpg",
        "jpeg-turned.jpg",
        "png-palette.png",
    ] {
        let whole = image(name);
        for at in (0..whole.len()).step_by(3) {
            for damage in [0x00, 0x5a, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= damage ^ 0x81;
                // Pixels may come out wrong or not at all; a panic fails this test.
                let _ = decode(&bytes).map(|photo| assert_eq!(photo.rgb.len(), 40 * 40 * 3));
            }
        }
    }
}

#[test]
fn a_png_with_a_wrong_checksum_is_refused() {
    let mut bytes = image("png-rgb.png");
    let pixels = bytes.windows(4).position(|kind| kind == b"IDAT").unwrap();
    let length = u32::from_be_bytes(bytes[pixels - 4..pixels].try_into().unwrap()) as usize;
    bytes[pixels + 4 + length] ^= 1;
    let (_, message) = refused("damaged.png", &bytes);
    assert!(message.starts_with("set/damaged.png cannot be decoded: "), "{message}");
}

/// A PNG file that announces a size and goes on with no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let content = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes(), &content[..], &crc32(&content).to_be_bytes()].concat()
    };
    let eight_bit_rgb = [8, 2, 0, 0, 0];
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), &eight_bit_rgb[..]].concat();
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], &chunk(b"IDAT", &[])].concat()
}

/// PNG's checksum, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

#[test]
fn an_image_of_absurd_size_is_refused_before_its_pixels_are_asked_for() {
    let (_, message) = refused("bomb.png", &png_header(20_000, 20_000));
    assert_eq!(message, "set/bomb.png has 20000x20000 pixels, more than the limit of 100 million");
    // A single row of this one is too much for the decoder itself.
    let (_, message) = refused("wide.png", &png_header(i32::MAX as u32, i32::MAX as u32));
    assert_eq!(message, "set/wide.png cannot be decoded: Memory limit exceeded");
    // Just below, the missing pixels are what is wrong.
    assert!(matches!(
        refused("large.png", &png_header(10_000, 10_000)).0,
        DataError::Decode { .. }
    ));
}

#[test]
fn an_image_that_resizing_would_make_absurdly_long_is_refused() {
    let mut bytes = std::io::Cursor::new(vec![]);
    image::RgbImage::new(1, 60_000).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let (_, message) = refused("line.png", bytes.get_ref());
    assert_eq!(
        message,
        "set/line.png has 1x60000 pixels: resizing it makes 48x2880000 of them, more than the limit of 100 million"
    );
}

#[test]
fn a_jpeg_without_height_is_refused() {
    let mut bytes = image("jpeg-gray.jpg");
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].fill(0);
    assert!(matches!(refused("flat.jpg", &bytes).0, DataError::Decode { .. }));
}
