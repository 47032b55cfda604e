//! Without a window: so many frames, their PSNR and time as a CSV file, the last one as pictures.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::host::{Host, Outcome};
use crate::picture::Picture;
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
    /// Weights: an HDR network of Open Image Denoise (.tza), or what `train` made (.safetensors)
    #[arg(long, value_name = "FILE", default_value = crate::WEIGHTS)]
    pub weights: PathBuf,
    /// Fails unless denoised frames are by so much closer to the reference, in dB
    #[arg(long, value_name = "DB")]
    expect: Option<f64>,
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
}

/// What is kept of one frame.
struct Row {
    /// Milliseconds until it was drawn.
    milliseconds: f64,
    /// PSNR in dB.
    noisy: f64,
    denoised: f64,
    resident: Option<u64>,
}

impl Row {
    fn new(frame: &Frame, pictures: &[Picture; 4], reference: &Picture) -> Self {
        Self {
            milliseconds: frame.milliseconds,
            noisy: pictures[0].psnr(reference),
            denoised: pictures[3].psnr(reference),
            resident: resident_bytes(),
        }
    }
}

/// Draws `frames` of them.
///
/// # Errors
/// What the device and files say; if less is gained than expected.
pub fn run(args: &FrameArgs, frames: u32) -> Outcome<()> {
    let host = Host::new()?;
    let mut stage = Stage::new(&host, args)?;
    let begun = Instant::now();
    let reference = stage.reference(&host)?;
    let seconds = begun.elapsed().as_secs_f32();
    println!("reference of {} samples in {seconds:.1} s", args.reference);

    fs::create_dir_all(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
    let path = args.out.join("frames.csv");
    let csv = fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut csv = BufWriter::new(csv);
    let columns = "frame,ms,psnr_noisy,psnr_denoised,device_bytes,resident_bytes";
    writeln!(csv, "{columns}")?;
    let mut rows = Vec::new();
    for number in 0..frames {
        let frame = stage.frame(&host, true)?;
        let pictures = stage.look(&host)?;
        let row = Row::new(&frame, &pictures, &reference);
        let done = row.milliseconds;
        let resident = row
            .resident
            .map_or_else(String::new, |bytes| bytes.to_string());
        let (noisy, denoised, bytes) = (row.noisy, row.denoised, stage.bytes());
        let numbers = format!("{done:.2},{noisy:.3},{denoised:.3},{bytes},{resident}");
        writeln!(csv, "{},{numbers}", frame.number)?;
        rows.push(row);
        if number + 1 == frames {
            write_pictures(args, &pictures, &reference)?;
        }
    }
    csv.flush()?;
    summarise(args, &rows)
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

/// Prints means over all frames, and fails if less is gained than expected.
fn summarise(args: &FrameArgs, rows: &[Row]) -> Outcome<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mean = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    let mut times: Vec<f64> = rows.iter().map(|row| row.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let done = times[times.len() / 2];
    println!("{} frames, median {done:.1} ms", rows.len());
    let (noisy, denoised) = (mean(|row| row.noisy), mean(|row| row.denoised));
    let gain = denoised - noisy;
    println!("noisy {noisy:.2} dB, denoised {denoised:.2} dB: {gain:.2} dB gained");
    let resident = rows.iter().filter_map(|row| row.resident);
    if let (Some(least), Some(most)) = (resident.clone().min(), resident.max()) {
        println!("memory of the process {least} to {most} bytes");
    }
    println!("{} holds frames.csv and pictures", args.out.display());
    match args.expect {
        Some(expected) if gain.is_nan() || gain < expected => {
            Err(format!("{gain:.2} dB gained, {expected} dB were expected").into())
        }
        _ => Ok(()),
    }
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
