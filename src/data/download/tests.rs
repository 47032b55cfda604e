use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// How a server answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// With what is asked for.
    Ranges,
    /// With all of it, whatever is asked for.
    Whole,
    /// With so many bytes, and goes away.
    Cut(usize),
    Status(&'static str),
}

/// A server of one file on this machine: its address, and the ranges that it was asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    fn new(content: &[u8], manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (content, log) = (content.to_vec(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Who is gone already misses nothing.
                let _ = answer(stream.unwrap(), &content, manner, &log);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    content: &[u8],
    manner: Manner,
    log: &Mutex<Vec<Option<usize>>>,
) -> io::Result<()> {
    let mut from = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
        if line.is_empty() {
            break;
        }
    }
    log.lock().unwrap().push(from);
    let total = content.len();
    let first = match manner {
        Manner::Whole => 0,
        _ => from.unwrap_or(0),
    };
    let status = match (manner, first) {
        (Manner::Status(status), _) => status,
        (_, 0) => "200 OK",
        (_, first) if first >= total => "416 Range Not Satisfiable",
        _ => "206 Partial Content",
    };
    let body = match status.starts_with('2') {
        true => &content[first..],
        false => b"",
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-range: bytes {first}-{}/{total}\r\n\
         connection: close\r\n\r\n",
        body.len(),
        total.saturating_sub(1)
    )?;
    let most = match manner {
        Manner::Cut(most) => most,
        _ => total,
    };
    stream.write_all(&body[..body.len().min(most)])
}

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("striate-download-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("file")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn content() -> Vec<u8> {
    (0..300_000u32).map(|i| (i * i >> 7) as u8).collect()
}

fn sum(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

#[test]
fn a_file_comes_from_the_first_mirror_that_has_it() {
    let (folder, content) = (Folder::new("mirrors"), content());
    let absent = Server::new(&content, Manner::Status("404 Not Found"));
    let other = Server::new(b"another file", Manner::Ranges);
    let good = Server::new(&content, Manner::Ranges);
    let urls = [&absent.url, &other.url, &good.url];
    let mut received = Vec::new();
    let file = Download::new(urls).sha256(sum(&content));
    file.fetch(folder.file(), |r| received.push(r)).unwrap();
    assert_eq!(fs::read(folder.file()).unwrap(), content);
    assert_eq!(folder.names(), ["file"]);
    let last = received.last().unwrap();
    assert_eq!((last.bytes, last.total), (300_000, Some(300_000)));
    assert!(
        received
            .windows(2)
            .filter(|w| w[0].bytes > w[1].bytes)
            .count()
            <= 1
    );
    // What is there is not fetched again.
    file.fetch(folder.file(), |_| ()).unwrap();
    assert_eq!(good.asked(), [None]);
    fs::write(folder.file(), b"damaged").unwrap();
    file.fetch(folder.file(), |_| ()).unwrap();
    assert_eq!(fs::read(folder.file()).unwrap(), content);
}

#[test]
fn what_has_arrived_is_gone_on_with() {
    let (folder, content) = (Folder::new("resumed"), content());
    let part = folder.0.join("file.part");
    let fetch = |server: &Server| {
        let file = Download::new([&server.url]).sha256(sum(&content));
        file.fetch(folder.file(), |_| ())
    };
    // Each connection ends early.
    let cut = Server::new(&content, Manner::Cut(40_000));
    let error = fetch(&cut).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.to_string().contains("the connection ends after "),
        "{error}"
    );
    let wanted = [
        None,
        Some(40_000),
        Some(80_000),
        Some(120_000),
        Some(160_000),
    ];
    assert_eq!(cut.asked(), wanted);
    assert_eq!(fs::read(&part).unwrap(), content[..200_000]);
    assert!(!folder.file().exists());
    let good = Server::new(&content, Manner::Ranges);
    fetch(&good).unwrap();
    assert_eq!(good.asked(), [Some(200_000)]);
    assert_eq!(fs::read(folder.file()).unwrap(), content);
    assert!(!part.exists());

    // A server that begins anew, a part that is another file's, and one that is too long.
    for (manner, there) in [
        (Manner::Whole, content[..1000].to_vec()),
        (Manner::Ranges, vec![7; 1000]),
        (Manner::Ranges, vec![7; 400_000]),
        (Manner::Ranges, content.clone()),
    ] {
        fs::remove_file(folder.file()).unwrap();
        fs::write(&part, &there).unwrap();
        fetch(&Server::new(&content, manner)).unwrap();
        assert_eq!(fs::read(folder.file()).unwrap(), content);
        assert_eq!(folder.names(), ["file"]);
    }
}

#[test]
fn without_a_sum_nothing_is_gone_on_with() {
    let (folder, content) = (Folder::new("unsummed"), content());
    let part = folder.0.join("file.part");
    for there in [content[..1000].to_vec(), vec![7; 1000], vec![7; 400_000]] {
        fs::write(&part, there).unwrap();
        let server = Server::new(&content, Manner::Ranges);
        let file = Download::new([&server.url]);
        file.fetch(folder.file(), |_| ()).unwrap();
        assert_eq!(server.asked(), [None]);
        assert_eq!(fs::read(folder.file()).unwrap(), content);
        assert_eq!(folder.names(), ["file"]);
    }
    // Nor with what another connection of the same call brought.
    let cut = Server::new(&content, Manner::Cut(40_000));
    let error = Download::new([&cut.url]).fetch(folder.file(), |_| ());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(cut.asked(), [None; 5]);
    assert_eq!(fs::read(folder.file()).unwrap(), content);
}

#[test]
fn failures_say_all_there_is() {
    let (folder, content) = (Folder::new("failures"), content());
    let other = Server::new(&content, Manner::Ranges);
    let wanted = "0".repeat(64);
    let file = Download::new([&other.url]).sha256(wanted.clone());
    let error = file.fetch(folder.file(), |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    for words in [&sum(&content), &wanted, &other.url] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(folder.names().is_empty(), "{:?}", folder.names());

    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/file", listener.local_addr().unwrap())
    };
    let teapot = Server::new(&content, Manner::Status("418 I'm a teapot"));
    let file = Download::new([&gone, &teapot.url, &other.url]).sha256(wanted);
    let error = file.fetch(folder.file(), |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    for words in [&gone, "refused", "418", "is expected"] {
        let message = error.to_string().to_lowercase();
        assert!(message.contains(words), "{error}");
    }

    let long = Download::new([&other.url]).most_bytes(1000);
    let error = long.fetch(folder.file(), |_| ()).unwrap_err();
    assert!(
        error.to_string().contains("300000 bytes, 1000 at most"),
        "{error}"
    );
    let error = Download::new(["http://x"]).sha256("12").fetch("x", |_| ());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Shape);
    let none: [&str; 0] = [];
    let error = Download::new(none)
        .fetch(folder.file(), |_| ())
        .unwrap_err();
    assert!(error.to_string().ends_with("there are none"), "{error}");
    let nowhere = folder.0.join("no/file");
    let error = Download::new([&other.url])
        .fetch(nowhere, |_| ())
        .unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Io);
}

/// A disk with room for so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.min(bytes.len()) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            written => {
                self.0 -= written;
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_with_its_numbers() {
    let content = content();
    let (from, total) = (&content[..], Some(300_000));
    let received = transfer::receive(from, &mut Disk(100_000), 0, total, u64::MAX, &mut |_| ());
    let Err(Failure::Disk(e)) = received else {
        panic!("{received:?}");
    };
    assert_eq!(e.kind(), io::ErrorKind::StorageFull);
    assert!(
        e.to_string().contains("full after 65536 of 300000 bytes"),
        "{e}"
    );
}

#[test]
fn gzipped_files_are_unpacked() {
    let (folder, content) = (Folder::new("gzip"), content());
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&content).unwrap();
    let packed = packed.finish().unwrap();
    let server = Server::new(&packed, Manner::Ranges);
    let file = Download::new([&server.url]).gzip().sha256(sum(&content));
    file.fetch(folder.file(), |_| ()).unwrap();
    assert_eq!(fs::read(folder.file()).unwrap(), content);
    assert_eq!(folder.names(), ["file"]);
    for (bytes, words) in [
        (&content[..], "it is no gzip file"),
        (&packed[..packed.len() / 2], "it is no gzip file"),
    ] {
        let server = Server::new(bytes, Manner::Ranges);
        let file = Download::new([&server.url]).gzip();
        let error = file.fetch(folder.0.join("other"), |_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(folder.names(), ["file"]);
    }
    let server = Server::new(&packed, Manner::Ranges);
    let file = Download::new([&server.url]).gzip().most_bytes(299_999);
    let error = file.fetch(folder.0.join("other"), |_| ()).unwrap_err();
    assert!(
        error.to_string().contains("more than 299999 bytes"),
        "{error}"
    );
}
