//! Images, sounds and other files of servers, as files.
//!
//! Servers come from anywhere, so they choose neither a folder nor the kind of a file: of the name that they give something, the
//! harmless characters are kept, and the extension comes from a list of media types. A script, a hidden file or one that another
//! program would run cannot come of it. What is there is never written over, and no link is followed: each file is made anew
//! (`O_EXCL`, open(2)).

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use innkeeper::mcp::Media;
use serde_json::{Value, json};

use crate::exit::Failure;

/// Bytes of a name before its extension. File systems take 255 and more.
const LONGEST: usize = 60;

/// Files of one name that are looked past for one that is not there. Whoever has more has another problem.
const MOST: usize = 10_000;

/// What stands in for a media type that is not known.
const UNKNOWN: &str = "bin";

/// Media types and the extensions of their files: what servers send, and no kind that is run when it is opened.
const EXTENSIONS: [(&str, &str); 32] = [
    ("application/gzip", "gz"),
    ("application/json", "json"),
    ("application/pdf", "pdf"),
    ("application/xml", "xml"),
    ("application/yaml", "yaml"),
    ("application/zip", "zip"),
    ("audio/aac", "aac"),
    ("audio/flac", "flac"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("audio/wave", "wav"),
    ("audio/webm", "weba"),
    ("audio/x-wav", "wav"),
    ("image/avif", "avif"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/jpg", "jpg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tiff"),
    ("image/webp", "webp"),
    ("text/css", "css"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/markdown", "md"),
    ("text/plain", "txt"),
    ("text/xml", "xml"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
];

/// Names that are devices on Windows, whatever their extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// A folder to save in.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

/// A file that was saved.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) path: PathBuf,
    mime_type: Option<String>,
    bytes: usize,
}

/// What became of a file.
pub(crate) type Outcome = Result<Saved, Failure>;

impl Folder {
    /// The folder that the options name, if they do. Made before a server is asked for anything, which may have its effect.
    pub(crate) fn open(path: Option<&Path>) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        fs::create_dir_all(path)
            .map_err(|error| Failure::usage(format!("{}: cannot be a folder to save in: {error}", path.display())))?;
        Ok(Some(Self(path.to_owned())))
    }

    /// Saves bytes under a name that is something like this one.
    pub(crate) fn save(&self, name: &str, media: Media<'_>) -> Outcome {
        let bytes = media.decode().map_err(|error| Failure::unsaved(error.to_string()))?;
        let path = self
            .write(&stem(name), extension(media.mime_type), &bytes)
            .map_err(|error| Failure::unsaved(format!("a file in {} cannot be written: {error}", self.0.display())))?;
        Ok(Saved { path, mime_type: media.mime_type.map(str::to_owned), bytes: bytes.len() })
    }

    fn write(&self, stem: &str, extension: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        for number in 1..=MOST {
            let name = if number == 1 { format!("{stem}.{extension}") } else { format!("{stem}-{number}.{extension}") };
            let path = self.0.join(name);
            let mut file = match File::create_new(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            return match file.write_all(bytes) {
                Ok(()) => Ok(path),
                Err(error) => {
                    // Half a file is none.
                    let _ = fs::remove_file(&path);
                    Err(error)
                }
            };
        }
        Err(io::Error::other(format!("there are {MOST} files called {stem} already")))
    }
}

/// What became of files, as a list of a JSON document.
pub(crate) fn to_json<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Value {
    let entry = |outcome: &Outcome| match outcome {
        Ok(Saved { path, mime_type, bytes }) => {
            json!({ "path": path.to_string_lossy(), "mime_type": mime_type, "bytes": bytes })
        }
        Err(failure) => json!({ "error": failure.to_json() }),
    };
    outcomes.map(entry).collect()
}

/// What a file may be called, less its extension: the last part of a path or URI, of which the harmless characters are left.
fn stem(name: &str) -> String {
    let name = name.split(['?', '#']).next().unwrap_or_default().trim_end_matches(['/', '\\']);
    let name = name.rsplit(['/', '\\', ':']).next().unwrap_or_default();
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut stem = String::new();
    for character in name.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => stem.push(character),
            _ if stem.is_empty() || stem.ends_with('-') => {}
            _ => stem.push('-'),
        }
        if stem.len() >= LONGEST {
            break;
        }
    }
    let stem = stem.trim_end_matches('-');
    let lower = stem.to_ascii_lowercase();
    let is_device = DEVICES.contains(&&*lower)
        || NUMBERED_DEVICES
            .iter()
            .any(|device| lower.strip_prefix(device).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9'])));
    match stem {
        "" => "content".to_owned(),
        device if is_device => format!("{device}_"),
        stem => stem.to_owned(),
    }
}

/// The extension of a media type (RFC 9110, section 8.3.1), without its parameters.
fn extension(mime_type: Option<&str>) -> &'static str {
    let essence = mime_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = EXTENSIONS.iter().find(|(mime_type, _)| *mime_type == essence).map(|(_, extension)| *extension);
    match known {
        Some(extension) => extension,
        // RFC 6839.
        None if essence.ends_with("+json") => "json",
        None if essence.ends_with("+xml") => "xml",
        None => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use innkeeper::mcp::Content;

    use super::*;

    fn image(data: &str) -> Content {
        json!({ "type": "image", "mimeType": "image/png", "data": data }).into()
    }

    fn folder(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("innkeeper-save-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder::open(Some(&path)).expect("it can be made").expect("it was named")
    }

    #[test]
    fn of_a_name_what_is_harmless_is_left() {
        let cases = [
            ("get-tiny-image", "get-tiny-image"),
            ("file:///home/me/logo.png", "logo"),
            ("demo://resource/dynamic/blob/1", "1"),
            ("a:b", "b"),
            ("https://example.com/a/?q=/etc/x.sh", "a"),
            ("../../../../etc/passwd", "passwd"),
            ("..\\..\\autoexec.bat", "autoexec"),
            (".bashrc", "content"),
            ("..", "content"),
            ("-rf", "rf"),
            ("a\n\u{1b}[2Jb\u{0}c", "a-2Jb-c"),
            ("a\u{202e}gnp.exe", "a-gnp"),
            ("漢字", "content"),
            ("archive.tar.gz", "archive-tar"),
            ("con", "con_"),
            ("COM1.txt", "COM1_"),
            ("com", "com"),
            ("", "content"),
        ];

        for (name, expected) in cases {
            assert_eq!(stem(name), expected, "{name:?}");
        }
        assert_eq!(stem(&"a".repeat(5000)).len(), LONGEST);
    }

    #[test]
    fn the_extension_is_that_of_the_media_type_and_of_no_program() {
        let cases = [
            (Some("image/png"), "png"),
            (Some(" IMAGE/JPEG ; q=1"), "jpg"),
            (Some("application/ld+json"), "json"),
            (Some("application/x-sh"), "bin"),
            (Some("../../x"), "bin"),
            (Some(""), "bin"),
            (None, "bin"),
        ];

        for (mime_type, expected) in cases {
            assert_eq!(extension(mime_type), expected, "{mime_type:?}");
        }
    }

    #[test]
    fn a_file_that_is_there_is_not_written_over() {
        let folder = folder("again");
        let (first, second) = (image("aGk="), image("AA=="));

        let first = folder.save("a/b", first.media().expect("it has bytes")).expect("it is saved");
        let second = folder.save("a/b", second.media().expect("it has bytes")).expect("it is saved");

        assert_eq!((first.path.clone(), second.path), (folder.0.join("b.png"), folder.0.join("b-2.png")));
        assert_eq!(fs::read(first.path).expect("it is there"), b"hi");
        fs::remove_dir_all(&folder.0).expect("it is there");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_is_there_is_not_followed() {
        let folder = folder("link");
        let target = folder.0.join("target");
        std::os::unix::fs::symlink(&target, folder.0.join("b.png")).expect("it can be made");

        let saved = folder.save("b", image("aGk=").media().expect("it has bytes")).expect("it is saved");

        assert_eq!(saved.path, folder.0.join("b-2.png"));
        assert!(!target.exists());
        fs::remove_dir_all(&folder.0).expect("it is there");
    }

    #[test]
    fn what_is_not_base64_leaves_no_file() {
        let folder = folder("broken");

        let failure = folder.save("b", image("!").media().expect("it has bytes")).expect_err("it is not base64");

        assert!(failure.message.contains("is not base64"), "{}", failure.message);
        assert_eq!(fs::read_dir(&folder.0).expect("it is there").count(), 0);
        fs::remove_dir_all(&folder.0).expect("it is there");
    }

    #[test]
    fn what_is_no_folder_is_said_before_anything_is_asked_for() {
        let folder = folder("file");
        let file = folder.0.join("file");
        fs::write(&file, "").expect("it can be written");

        let failure = Folder::open(Some(&file)).expect_err("it is a file");

        assert!(failure.message.contains("cannot be a folder"), "{}", failure.message);
        fs::remove_dir_all(&folder.0).expect("it is there");
    }
}
