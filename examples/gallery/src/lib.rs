//! What convolutional networks are used for, one small program each: data that are drawn from a
//! seed, a network, and an honest number beside those of simpler answers.

mod canvas;
mod curves;
pub mod denoise_photo;
pub mod depth;
pub mod detect;
pub mod drive;
pub mod faces;
mod filters;
pub mod handwriting;
pub mod inpaint;
mod outcome;
pub mod overfit;
mod parts;
mod photo;
pub mod robust;
pub mod segment;
pub mod sound;
pub mod style;
pub mod text;
pub mod texture;
pub mod upscale;
mod vgg;
pub mod video;

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Parser, Subcommand};
use striate::data::{Dataset, Picture, Split};
use striate::interop::expect_replaceable;
use striate::prelude::*;
use striate::train::{AdamW, Classification, Optimizer, Task, Terminal, Trainer, warmup_cosine};

pub use outcome::Outcome;
pub use striate::train::Better;

/// What all programs take.
#[derive(clap::Args, Clone, Debug)]
pub struct Common {
    /// Keys data, initial parameters and the order of samples
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u32,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "target/gallery")]
    pub out: PathBuf,
    /// Ends after a fraction of the work, with a lower target
    #[arg(long)]
    pub short: bool,
    /// Fails unless the target is reached and the simpler answers stay below their limit
    #[arg(long)]
    pub expect: bool,
    /// Why a picture could not be written; of several, the first.
    #[arg(skip)]
    unwritten: Rc<RefCell<Option<Error>>>,
}

impl Common {
    /// The seed of training data; the other sets have other seeds.
    pub fn training_seed(&self) -> u64 {
        2 * u64::from(self.seed)
    }

    /// The seed of held-out data.
    pub fn held_out_seed(&self) -> u64 {
        2 * u64::from(self.seed) + 1
    }

    /// One number by default, another one in the short form.
    pub fn pick<T>(&self, whole: T, short: T) -> T {
        if self.short { short } else { whole }
    }

    /// Writes a picture into the folder, and says so. One that cannot be written does not end the
    /// program: [`written`](Self::written) tells of it.
    ///
    /// # Errors
    /// `Io` if standard output takes no lines.
    pub fn write(&self, name: &str, picture: &Picture) -> Result<()> {
        self.leave(name, |path| picture.write_png(path))
    }

    /// The same of any file: `write` is given its path.
    fn leave(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let path = self.out.join(name);
        match make_folder(&self.out).and_then(|()| write(&path)) {
            Ok(()) => say(format!("{} is written", path.display())),
            Err(error) => {
                self.unwritten.borrow_mut().get_or_insert(error);
                Ok(())
            }
        }
    }

    /// Fails if a picture could not be written.
    ///
    /// # Errors
    /// `Io`, with its name.
    pub fn written(&self) -> Result<()> {
        self.unwritten.take().map_or(Ok(()), Err)
    }
}

/// Prints a line. Where nobody reads any more, as after `| head -1`, it goes on: pictures are left.
fn say(line: impl Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said.map_err(|e| Error::new(ErrorKind::Io, "standard output").with_source(e)),
    }
}

/// The best adapter, or the CPU reference where there is none. That is slow, so it is said.
///
/// # Errors
/// As [`Engine::new`].
fn engine() -> Result<Engine> {
    let engine = Engine::new()?;
    if let Engine::Cpu { .. } = engine {
        let why = GpuOptions::default().no_adapter();
        // Nobody may be there to read it.
        let _ = writeln!(io::stderr(), "the CPU reference, which is slow: {why}");
    }
    Ok(engine)
}

fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| {
        let message = format!("cannot make the folder {}", path.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })
}

/// How a network of the gallery is trained.
pub struct Recipe<T> {
    /// What for.
    pub task: T,
    /// The optimizer; its rate is that of the schedule.
    pub optimizer: Optimizer,
    /// The highest rate: it rises to it over a tenth of the updates, and falls to 0.
    pub rate: f32,
    /// Times to walk over the training data.
    pub epochs: usize,
    /// Samples of an update.
    pub batch: usize,
}

impl<T: Task + 'static> Recipe<T> {
    /// Trains a network on `data.train`; `data.test` is looked at after each epoch, and chooses
    /// nothing.
    ///
    /// # Errors
    /// As [`Trainer::fit`].
    pub fn train(
        self,
        engine: &Engine,
        net: &dyn Module,
        data: &Split,
        common: &Common,
    ) -> Result<Trainer> {
        let rate = self.rate;
        let mut trainer = Trainer::builder(engine, net, data)
            .task(self.task)
            .optimizer(self.optimizer)
            .rates(move |updates| warmup_cosine(rate, updates / 10, updates))
            .epochs(self.epochs)
            .batch(self.batch)
            .drop_last(true)
            .seed(common.seed.into())
            .observe(Terminal::new().unread())
            .build()?;
        trainer.fit()?;
        Ok(trainer)
    }
}

impl Recipe<Classification> {
    /// How networks learn to tell classes apart: by AdamW.
    pub fn classes(epochs: usize, rate: f32, batch: usize) -> Self {
        Self {
            task: Classification::new(),
            optimizer: AdamW::new().into(),
            rate,
            epochs,
            batch,
        }
    }

    /// Trains a network on `data.train`; the number is [`right`] of `data.test`.
    ///
    /// # Errors
    /// As [`train`](Self::train) and [`right`].
    pub fn judged(
        self,
        engine: &Engine,
        net: &dyn Module,
        data: &Split,
        common: &Common,
    ) -> Result<(Trainer, f64)> {
        let mut trainer = self.train(engine, net, data, common)?;
        let right = right(&mut trainer, &data.test)?;
        Ok((trainer, right))
    }
}

/// How many samples of a set the network tells rightly, in percent.
///
/// # Errors
/// As [`Trainer::evaluate`].
pub fn right(trainer: &mut Trainer, set: &Dataset) -> Result<f64> {
    let share = trainer.evaluate(set)?.scalar("accuracy");
    Ok(100.0 * share.unwrap_or(f64::NAN))
}

/// What convolutional networks are used for, one small program each
#[derive(Parser)]
#[command(name = "striate-gallery", arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
#[command(rename_all = "snake_case")]
enum Program {
    DenoisePhoto(denoise_photo::Args),
    Depth(depth::Args),
    Detect(detect::Args),
    Drive(drive::Args),
    Faces(faces::Args),
    Handwriting(handwriting::Args),
    Inpaint(inpaint::Args),
    Overfit(overfit::Args),
    Robust(robust::Args),
    Segment(segment::Args),
    Sound(sound::Args),
    Style(style::Args),
    Text(text::Args),
    Texture(texture::Args),
    Upscale(upscale::Args),
    Video(video::Args),
}

impl Program {
    fn common(&self) -> &Common {
        match self {
            Program::DenoisePhoto(args) => &args.common,
            Program::Depth(args) => &args.common,
            Program::Detect(args) => &args.common,
            Program::Drive(args) => &args.common,
            Program::Faces(args) => &args.common,
            Program::Handwriting(args) => &args.common,
            Program::Inpaint(args) => &args.common,
            Program::Overfit(args) => &args.common,
            Program::Robust(args) => &args.common,
            Program::Segment(args) => &args.common,
            Program::Sound(args) => &args.common,
            Program::Style(args) => &args.common,
            Program::Text(args) => &args.common,
            Program::Texture(args) => &args.common,
            Program::Upscale(args) => &args.common,
            Program::Video(args) => &args.common,
        }
    }

    fn run(&self) -> Result<Outcome> {
        match self {
            Program::DenoisePhoto(args) => denoise_photo::run(args),
            Program::Depth(args) => depth::run(args),
            Program::Detect(args) => detect::run(args),
            Program::Drive(args) => drive::run(args),
            Program::Faces(args) => faces::run(args),
            Program::Handwriting(args) => handwriting::run(args),
            Program::Inpaint(args) => inpaint::run(args),
            Program::Overfit(args) => overfit::run(args),
            Program::Robust(args) => robust::run(args),
            Program::Segment(args) => segment::run(args),
            Program::Sound(args) => sound::run(args),
            Program::Style(args) => style::run(args),
            Program::Text(args) => text::run(args),
            Program::Texture(args) => texture::run(args),
            Program::Upscale(args) => upscale::run(args),
            Program::Video(args) => video::run(args),
        }
    }

    /// The files that it leaves in its folder.
    fn pictures(&self) -> &'static [&'static str] {
        match self {
            Program::DenoisePhoto(_) => &["denoise_photo.png"],
            Program::Depth(_) => &["depth_plain.svg", "depth_residual.svg", "batch_norm.svg"],
            Program::Detect(_) => &["detect.png"],
            Program::Drive(_) => &["drive.png"],
            Program::Faces(_) => &["faces.png"],
            Program::Handwriting(_) => &["handwriting.png"],
            Program::Inpaint(_) => &["inpaint.png"],
            Program::Overfit(_) => &["overfit.svg"],
            Program::Robust(_) => &["robust.png"],
            Program::Segment(args) if args.volume => &["segment_volume.png"],
            Program::Segment(_) => &["segment.png"],
            Program::Sound(_) => &["sound.png"],
            Program::Style(_) => &["style.png"],
            Program::Text(_) => &["text.png"],
            Program::Texture(_) => &["texture.png"],
            Program::Upscale(_) => &["upscale.png"],
            Program::Video(_) => &["video.png"],
        }
    }
}

/// Runs a program, and says what came of it.
fn tell(program: &Program) -> Result<()> {
    let common = program.common();
    // Before the work is done rather than after it.
    make_folder(&common.out)?;
    for name in program.pictures() {
        expect_replaceable(common.out.join(name)).map_err(|e| e.context("--out"))?;
    }
    let outcome = program.run()?;
    say(outcome.to_string().trim_end())?;
    common.written()?;
    if common.expect {
        outcome.expect()?;
    }
    Ok(())
}

/// Runs the program that the command line names.
pub fn main() -> ExitCode {
    match tell(&Args::parse().program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_cannot_be_written_does_not_end_the_program() {
        let common = Common {
            seed: 1,
            // A file, no folder.
            out: Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"),
            short: true,
            expect: false,
            unwritten: Rc::default(),
        };
        let picture = Picture::filled(2, 2, [0; 3]).unwrap();
        common.write("first.png", &picture).unwrap();
        let error = common.written().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
}
