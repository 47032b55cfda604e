//! Makes what the pages of `docs/course` show: the numbers of each chapter, and its pictures.
//! `cargo run --release -p striate-course -- convolution`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use striate::prelude::*;

use striate_course::{CHAPTERS, Page};

/// Works through chapters of the course: prints their numbers, and writes their pictures.
#[derive(Parser)]
struct Args {
    /// Chapters, by name; all of them if none is named
    #[arg(value_parser = CHAPTERS.map(|(name, _)| name))]
    chapters: Vec<String>,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "target/course")]
    out: PathBuf,
}

fn run(args: &Args) -> Result<()> {
    let failed = |what: String, e: io::Error| Error::new(ErrorKind::Io, what).with_source(e);
    let engine = Engine::new()?;
    let mut out = io::stdout().lock();
    for (name, chapter) in CHAPTERS {
        if !args.chapters.is_empty() && args.chapters.iter().all(|own| own != name) {
            continue;
        }
        let mut page = Page::new(&engine);
        chapter(&mut page)?;
        let mut text = format!("# {name}, on {}\n\n{}\n", engine.describe(), page.text);
        if !page.pictures.is_empty() {
            let folder = args.out.display();
            std::fs::create_dir_all(&args.out)
                .map_err(|e| failed(format!("cannot make the folder {folder}"), e))?;
        }
        for (picture, drawn) in &page.pictures {
            let path = args.out.join(picture);
            drawn.write_png(&path)?;
            text += &format!("{} is written\n", path.display());
        }
        match writeln!(out, "{text}") {
            // Nobody reads any more, as after `| head`: the pictures are still to be drawn.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            said => said.map_err(|e| failed("standard output cannot be written".to_owned(), e))?,
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
