//! Without a window: so many frames, their PSNR and time as a CSV file, the last one as pictures.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use striate::interop::expect_replaceable;

use crate::adapt::{AdaptSettings, Adapter};
use crate::host::{Host, Outcome};
use crate::picture::Picture;
use crate::plot;
use crate::scene::Scene;
use crate::stage::{Frame, Stage};

/// Draws and denoises frames.
#[derive(Debug, Clone, Args)]
pub struct FrameArgs {
    /// Frames to draw without a window
    #[arg(long, value_name = "N")]
    pub frames: Option<u32>,
    /// Folder for frames.csv and the pictures of the last frame
    #[arg(long, value_name = "DIR", default_value = "denoised")]
    out: PathBuf,
    /// Width and height of a frame
    #[arg(long, value_name = "WxH", default_value = "128x128", value_parser = size)]
    pub size: [u32; 2],
    /// Keys the random numbers of the frames
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u32,
    /// Number of a random scene; default the box with three spheres
    #[arg(long, value_name = "N")]
    scene: Option<u64>,
    /// Angle of the camera around the box, in degrees
    #[arg(long, value_name = "DEG", allow_negative_numbers = true)]
    orbit: Option<f32>,
    /// Samples of the picture that frames are compared with
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub reference: u32,
    /// Weights: an HDR network of Open Image Denoise (.tza), or what was trained or adapted here
    /// (.safetensors)
    #[arg(long, value_name = "FILE", default_value = crate::WEIGHTS)]
    pub weights: PathBuf,
    /// Fails unless denoised frames are by so much closer to the reference, in dB
    #[arg(long, value_name = "DB")]
    expect: Option<f64>,
    /// Adapts the network to the scene for so many seconds, without a window
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub adapt: Option<f64>,
    /// Milliseconds of each frame for adapting; default half of what a frame takes without
    #[arg(long, value_name = "MS", value_parser = positive)]
    pub budget: Option<f64>,
    /// Learning rate of adapting
    #[arg(long, value_name = "X", default_value_t = AdaptSettings::default().lr)]
    adapt_lr: f64,
    /// Where the adapted weights go; without a window only if given
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Fails unless tiles kept back are by so much closer after adapting, in dB
    #[arg(long, value_name = "DB", requires = "adapt")]
    expect_adapted: Option<f64>,
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("not a number above 0, up to 1e6".to_owned()),
    }
}

fn size(text: &str) -> std::result::Result<[u32; 2], String> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        let sides = [width.parse().ok()?, height.parse().ok()?];
        let fit = |side: &u32| (16..=4096).contains(side);
        sides.iter().all(fit).then_some(sides)
    });
    sides.ok_or_else(|| "not WxH with sides of 16 to 4096".to_owned())
}

impl FrameArgs {
    /// The scene that is asked for.
    pub fn scene(&self) -> Scene {
        let mut scene = self.scene.map_or_else(Scene::cornell, Scene::random);
        if let Some(orbit) = self.orbit {
            scene.camera.orbit = orbit.to_radians();
        }
        scene
    }

    /// How the network adapts.
    pub fn adapt_settings(&self) -> AdaptSettings {
        AdaptSettings {
            budget: self.budget,
            seed: self.seed,
            lr: self.adapt_lr,
            ..AdaptSettings::default()
        }
    }
}

/// What is kept of one frame.
struct Row {
    frame: Frame,
    /// PSNR in dB.
    noisy: f64,
    denoised: f64,
    resident: Option<u64>,
}

impl Row {
    fn new(frame: Frame, pictures: &[Picture; 4], reference: &Picture) -> Self {
        Self {
            frame,
            noisy: pictures[0].psnr(reference),
            denoised: pictures[3].psnr(reference),
            resident: resident_bytes(),
        }
    }
}

/// Draws frames: `args.frames` of them, and as many as adapting takes.
///
/// # Errors
/// What the device and files say; if a frame took more than one submission, or less is gained than
/// expected.
pub fn run(args: &FrameArgs) -> Outcome<()> {
    if let Some(path) = &args.save {
        if args.adapt.is_none() {
            return Err("--save keeps what --adapt makes: say for how many seconds".into());
        }
        expect_replaceable(path)?;
    }
    let host = Host::new()?;
    let settings = args.adapt.map(|_| args.adapt_settings());
    let mut stage = Stage::new(&host, args, settings)?;
    let begun = Instant::now();
    let reference = stage.reference(&host)?;
    let seconds = begun.elapsed().as_secs_f32();
    println!("reference of {} samples in {seconds:.1} s", args.reference);

    fs::create_dir_all(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
    let path = args.out.join("frames.csv");
    let csv = fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut csv = BufWriter::new(csv);
    let columns = "frame,ms,submissions,psnr_noisy,psnr_denoised,device_bytes,resident_bytes";
    writeln!(csv, "{columns},steps,psnr_held_back")?;
    let (frames, mut adapts) = (args.frames.unwrap_or(0) as usize, args.adapt.is_some());
    let (mut rows, mut last) = (Vec::new(), None);
    while rows.len() < frames || adapts {
        if let (Some(adapter), Some(seconds)) = (&mut stage.adapter, args.adapt)
            && adapter.seconds() >= seconds
        {
            adapter.end();
        }
        let (frame, pictures) = stage.draw(&host, adapts)?;
        let row = Row::new(frame, &pictures, &reference);
        write_row(&mut csv, &row, &stage)?;
        rows.push(row);
        last = Some(pictures);
        adapts &= stage.adapter.as_ref().is_some_and(|a| !a.is_finished());
    }
    // What was learnt comes first: no other file that cannot be written costs it.
    if let (Some(path), Some(adapter)) = (&args.save, &stage.adapter)
        && !adapter.points().is_empty()
    {
        stage.network.save(&host, path)?;
    }
    csv.flush()?;
    if let Some(pictures) = &last {
        write_pictures(args, pictures, &reference)?;
    }
    let adapted = match &stage.adapter {
        Some(adapter) => adapted(args, adapter, &rows),
        None => Ok(()),
    };
    summarise(args, &rows)?;
    adapted
}

fn write_row(csv: &mut impl Write, row: &Row, stage: &Stage) -> Outcome<()> {
    let Row {
        frame,
        noisy,
        denoised,
        resident,
    } = row;
    let Frame {
        number,
        milliseconds,
        submissions,
    } = frame;
    let resident = resident.map_or_else(String::new, |bytes| bytes.to_string());
    let bytes = stage.bytes();
    write!(csv, "{number},{milliseconds:.2},{submissions},")?;
    write!(csv, "{noisy:.3},{denoised:.3},{bytes},{resident},")?;
    match &stage.adapter {
        Some(adapter) => {
            let held = adapter.points().last();
            let held = held.map_or_else(String::new, |point| format!("{:.3}", point.psnr));
            writeln!(csv, "{},{held}", adapter.steps())?;
        }
        None => writeln!(csv, ",")?,
    }
    Ok(())
}

/// Prints what adapting brought, and plots it; fails if less is gained than expected.
fn adapted(args: &FrameArgs, adapter: &Adapter, rows: &[Row]) -> Outcome<()> {
    let points = adapter.points();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err("the time was too short to draw tiles to adapt to".into());
    };
    let (plain, budget) = (adapter.plain_time(), adapter.budget());
    let (plain, budget) = (plain.unwrap_or_default(), budget.unwrap_or_default());
    let median = median_time(rows);
    println!("frames of {plain:.1} ms, {budget:.1} ms more to adapt: median {median:.1} ms");
    let [tiles, held] = adapter.counts();
    let (steps, seconds) = (adapter.steps(), last.seconds);
    println!("{steps} steps in {seconds:.1} s on {tiles} tiles, {held} kept back");
    let (noisy, before, after) = (adapter.noisy(), first.psnr, last.psnr);
    let gain = after - before;
    println!(
        "tiles kept back: noisy {:.2} dB, before {before:.2} dB, after {after:.2} dB: \
         {gain:.2} dB gained",
        noisy.unwrap_or_default()
    );
    let tenth = (rows.len() / 10).max(1);
    let mean = |rows: &[Row]| rows.iter().map(|r| r.denoised).sum::<f64>() / rows.len() as f64;
    let (before, after) = (mean(&rows[..tenth]), mean(&rows[rows.len() - tenth..]));
    println!("frames: the first tenth {before:.2} dB, the last tenth {after:.2} dB");

    let path = args.out.join("adapted.svg");
    let title = format!("Tiles kept back, PSNR in dB: {steps} steps within {budget:.0} ms a frame");
    fs::write(&path, plot::svg(points, &title)).map_err(|e| format!("{}: {e}", path.display()))?;
    if let Some(path) = &args.save {
        println!("{} holds the weights", path.display());
    }
    expect("tiles kept back", gain, args.expect_adapted)
}

fn write_pictures(args: &FrameArgs, seen: &[Picture; 4], reference: &Picture) -> Outcome<()> {
    let [colour, albedo, normal, denoised] = seen;
    for (name, pictures) in [
        ("noisy.png", &[colour][..]),
        ("denoised.png", &[denoised]),
        ("reference.png", &[reference]),
        ("all.png", &[colour, denoised, reference, albedo, normal]),
    ] {
        Picture::write(pictures, &args.out.join(name))?;
    }
    Ok(())
}

/// Prints means over all frames, and fails if one took more than one submission or less is gained
/// than expected.
fn summarise(args: &FrameArgs, rows: &[Row]) -> Outcome<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mean = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    println!("{} frames, median {:.1} ms", rows.len(), median_time(rows));
    let (noisy, denoised) = (mean(|row| row.noisy), mean(|row| row.denoised));
    let gain = denoised - noisy;
    println!("noisy {noisy:.2} dB, denoised {denoised:.2} dB: {gain:.2} dB gained");
    // The first frames compile shaders.
    let resident = |rows: &[Row]| rows.iter().filter_map(|row| row.resident).max();
    let (first, second) = rows.split_at(rows.len().div_ceil(2));
    if let (Some(first), Some(second)) = (resident(first), resident(second)) {
        let more = (second as f64 - first as f64) / 1024.0;
        println!("memory of the process at most {second} bytes, {more:+.0} KiB since half-time");
    }
    println!("{} holds frames.csv and pictures", args.out.display());
    if let Some(row) = rows.iter().find(|row| row.frame.submissions != 1) {
        let Frame {
            number,
            submissions,
            ..
        } = row.frame;
        let message = format!("frame {number} took {submissions} submissions, 1 is needed");
        return Err(message.into());
    }
    println!("1 submission a frame");
    expect("frames", gain, args.expect)
}

/// Fails if less is gained than expected.
fn expect(what: &str, gain: f64, expected: Option<f64>) -> Outcome<()> {
    match expected {
        Some(expected) if gain.is_nan() || gain < expected => {
            Err(format!("{what}: {gain:.2} dB gained, {expected} dB were expected").into())
        }
        _ => Ok(()),
    }
}

fn median_time(rows: &[Row]) -> f64 {
    let mut times: Vec<f64> = rows.iter().map(|row| row.frame.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Bytes of the process in memory, where Linux tells.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}
