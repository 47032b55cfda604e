//! Every kernel in every variant becomes a pipeline in Chromium, whose WGSL compiler (Tint) is not
//! the one of wgpu (naga).
//!
//! The browser is the one that `CHROMIUM` names, or one on the `PATH`; it runs headless on its own
//! software adapter. None is a skip that is printed, and a failure where `STRIATE_REQUIRE_BROWSER`
//! is 1.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use striate::kernel::Kernel;
use striate::ops::kernels;

const PAGE: &str = include_str!("browser.html");
/// How long the page may say nothing; it tells of every kernel.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the page found.
struct Report {
    adapter: String,
    pipelines: usize,
    messages: Vec<String>,
}

/// A browser that is started here, with a profile of its own. Dropping it ends it.
struct Browser {
    process: Child,
    profile: PathBuf,
}

impl Browser {
    fn find() -> Option<PathBuf> {
        if let Some(given) = std::env::var_os("CHROMIUM") {
            return Some(given.into());
        }
        let path = std::env::var_os("PATH")?;
        let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
        std::env::split_paths(&path)
            .flat_map(|folder| names.map(|name| folder.join(name)))
            .find(|program| program.is_file())
    }

    fn start(program: &Path, profile: PathBuf, url: &str) -> io::Result<Self> {
        let process = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--disable-extensions",
                "--disable-background-networking",
                "--enable-unsafe-webgpu",
                "--use-webgpu-adapter=swiftshader",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, profile })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Its other processes end when they lose it; until then they may still write.
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.profile).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn answer(mut stream: &TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n{body}",
        body.len()
    )
}

/// What the page says.
enum News {
    Progress,
    Result(String),
}

/// Answers one request of the page.
fn serve(stream: &TcpStream, work: &str, news: &Sender<News>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    match request.split(' ').nth(1) {
        Some("/") => answer(stream, "200 OK", "text/html", PAGE),
        Some("/kernels") => answer(stream, "200 OK", "application/json", work),
        Some("/progress") => {
            let _ = news.send(News::Progress);
            answer(stream, "204 No Content", "text/plain", "")
        }
        Some("/result") => {
            let text = String::from_utf8_lossy(&body).into_owned();
            let _ = news.send(News::Result(text));
            answer(stream, "204 No Content", "text/plain", "")
        }
        _ => answer(stream, "404 Not Found", "text/plain", ""),
    }
}

/// Compiles the kernels in the browser; `None` where there is none.
fn compile(name: &str, kernels: &[Kernel]) -> Option<Report> {
    let Some(program) = Browser::find() else {
        let required = std::env::var("STRIATE_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "STRIATE_REQUIRE_BROWSER is 1 and no Chromium was found"
        );
        println!("SKIPPED: no Chromium was found");
        return None;
    };
    let kernels = kernels.iter().map(|kernel| {
        let variants = sets(kernel).into_iter().map(Value::from_iter);
        json!({
            "name": kernel.name,
            "source": kernel.source(),
            "variants": Value::from_iter(variants),
        })
    });
    let work: Arc<str> = Value::from_iter(kernels).to_string().into();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, news) = mpsc::channel();
    // It ends with the test's process; each connection has a thread, since browsers open some that
    // they do not use.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (work, sender) = (work.clone(), sender.clone());
            thread::spawn(move || serve(&stream, &work, &sender));
        }
    });

    let profile = std::env::temp_dir().join(format!("striate-{name}-{}", std::process::id()));
    let mut browser = Browser::start(&program, profile, &url)
        .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
    let mut last = Instant::now();
    let text = loop {
        match news.recv_timeout(Duration::from_millis(200)) {
            Ok(News::Result(text)) => break text,
            Ok(News::Progress) => last = Instant::now(),
            Err(RecvTimeoutError::Disconnected) => panic!("the server ended"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = browser.process.try_wait().unwrap() {
            panic!("{} ended early: {status}", program.display());
        }
        assert!(last.elapsed() < PATIENCE, "no word in {PATIENCE:?}");
    };
    let report: Value = serde_json::from_str(&text).unwrap();
    let messages = report["messages"].as_array().unwrap().iter();
    Some(Report {
        adapter: report["adapter"].as_str().unwrap().to_owned(),
        pipelines: report["pipelines"].as_u64().unwrap() as usize,
        messages: messages
            .map(|message| message.as_str().unwrap().to_owned())
            .collect(),
    })
}

/// The override sets of a kernel that are compiled: every variant with one of what may follow, and
/// everything that may follow with the first variant; with `STRIATE_LONG` every pair.
fn sets(kernel: &Kernel) -> Vec<Vec<(&'static str, u32)>> {
    let ends = kernel.epilogues.len();
    let long = std::env::var_os("STRIATE_LONG").is_some();
    let pairs = kernel.constants().enumerate();
    let chosen = pairs.filter(|(i, _)| {
        let (variant, end) = (i / ends, i % ends);
        long || variant == 0 || end == variant % ends
    });
    chosen.map(|(_, set)| set).collect()
}

#[test]
fn every_variant_becomes_a_pipeline() {
    let mut kernels = kernels();
    // Browsers have no cooperative matrices.
    kernels.retain(|kernel| kernel.extensions().is_empty());
    let start = Instant::now();
    let Some(report) = compile("kernels", &kernels) else {
        return;
    };
    let messages = &report.messages;
    assert!(messages.is_empty(), "{}", messages.join("\n"));
    let wanted: usize = kernels.iter().map(|kernel| sets(kernel).len()).sum();
    assert_eq!(report.pipelines, wanted);
    println!(
        "{} pipelines of {} kernels on {} in {:.1} s",
        report.pipelines,
        kernels.len(),
        report.adapter,
        start.elapsed().as_secs_f64()
    );
}

/// The way of the test above, with kernels that break one rule each and one that breaks none.
#[test]
fn faults_are_told_by_name() {
    const HEAD: &str = "@group(0) @binding(0) var<storage, read_write> y: array<u32>;
        var<workgroup> tile: array<u32, 64>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {";
    let module = |name: &'static str, text: String, variants| Kernel::module(name, text, variants);
    let sized = "override size: u32 = 64u; @compute @workgroup_size(size) fn main() {}";
    let kernels = [
        module("right", sized.to_owned(), &[&[("size", 64)]]),
        module("unknown_word", format!("{HEAD} y[i] = word; }}"), &[&[]]),
        module(
            "barrier_for_some",
            format!("{HEAD} if (y[i] > 3u) {{ workgroupBarrier(); }} y[i] = tile[i]; }}"),
            &[&[]],
        ),
        module("workgroup_too_large", sized.to_owned(), &[&[("size", 257)]]),
        module("unknown_override", sized.to_owned(), &[&[("sise", 64)]]),
        module(
            "unreachable_code",
            format!("{HEAD} y[i] = tile[i]; return; y[i] = 1u; }}"),
            &[&[]],
        ),
    ];
    let Some(report) = compile("faults", &kernels) else {
        return;
    };
    for kernel in &kernels {
        let name = format!("kernel {}", kernel.name);
        let told = report.messages.iter().any(|m| m.starts_with(&name));
        assert_eq!(
            told,
            kernel.name != "right",
            "{name}: {:#?}",
            report.messages
        );
    }
    // Unreachable code is a warning: its pipeline is made.
    assert_eq!(report.pipelines, 2);
}
