//! Serves the files of a folder to this machine: `striate-serve FOLDER [PORT]`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// The port that is taken if none is given.
const PORT: u16 = 8017;
/// The longest request line and header, in bytes.
const LONGEST: u64 = 1 << 14;

/// The file that a request line asks for, if it is one below `folder`.
fn asked(folder: &Path, line: &str) -> Option<PathBuf> {
    let line = line.strip_prefix("GET ").or(line.strip_prefix("HEAD "));
    let target = line?.split(' ').next()?;
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = match path {
        "" => Path::new("index.html"),
        path => Path::new(path),
    };
    let mut parts = path.components();
    let inside = parts.all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| folder.join(path))
}

/// The media type of a file, by its ending.
fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn answer(folder: &Path, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.take(LONGEST));
    let (mut first, mut line) = (String::new(), String::new());
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let found =
        asked(folder, &first).and_then(|path| Some((kind(&path), std::fs::read(path).ok()?)));
    let (status, kind, body) = match found {
        Some((kind, body)) => ("200 OK", kind, body),
        None => ("404 Not Found", "text/plain", b"not found\n".to_vec()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: \
         no-cache\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if first.starts_with("HEAD ") {
        return Ok(());
    }
    stream.write_all(&body)
}

fn serve(folder: PathBuf, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("http://{}/", listener.local_addr()?);
    for stream in listener.incoming().flatten() {
        let folder = folder.clone();
        // A browser that goes away ends its request.
        thread::spawn(move || answer(&folder, &stream));
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, port) = match &arguments[..] {
        [folder] => (folder, Some(PORT)),
        [folder, port] => (folder, port.parse().ok()),
        _ => {
            eprintln!("striate-serve FOLDER [PORT]");
            return ExitCode::FAILURE;
        }
    };
    let Some(port) = port else {
        eprintln!("the port is a number below 65536");
        return ExitCode::FAILURE;
    };
    match serve(folder.into(), port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("port {port}: {error}");
            if error.kind() == io::ErrorKind::AddrInUse {
                eprintln!(
                    "give another: striate-serve FOLDER PORT; WEB_PORT=PORT bash web/build --serve"
                );
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_folder_alone_are_served() {
        let asked = |line: &str| asked(Path::new("page"), line);
        assert_eq!(asked("GET / HTTP/1.1\r\n"), Some("page/index.html".into()));
        assert_eq!(
            asked("GET /a/b.js?c#d HTTP/1.1"),
            Some("page/a/b.js".into())
        );
        for line in [
            "GET /../secret HTTP/1.1",
            "GET /a/../../secret HTTP/1.1",
            "GET //etc/passwd HTTP/1.1",
            "POST / HTTP/1.1",
            "GET",
            "",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
        assert_eq!(kind(Path::new("x.wasm")), "application/wasm");
    }

    #[test]
    fn a_page_comes_as_it_is() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("striate-serve-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("index.html"), "<p>here</p>")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let served = folder.clone();
        let server = thread::spawn(move || {
            for _ in 0..3 {
                let (stream, _) = listener.accept()?;
                answer(&served, &stream)?;
            }
            io::Result::Ok(())
        });
        let ask = |method: &str, path: &str| {
            let mut stream = TcpStream::connect(address)?;
            write!(stream, "{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            io::Result::Ok(text)
        };
        let page = ask("GET", "/")?;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"));
        assert!(page.ends_with("\r\n\r\n<p>here</p>"));
        let head = ask("HEAD", "/")?;
        assert!(head.contains("Content-Length: 11\r\n") && head.ends_with("\r\n\r\n"));
        assert!(ask("GET", "/other")?.starts_with("HTTP/1.1 404"));
        server.join().expect("the server does not panic")?;
        std::fs::remove_dir_all(&folder)
    }
}
