//! Without a window: the same frames into a texture, each held to what the CPU computes.

use std::fs;
use std::path::Path;
use std::time::Instant;

use egui_wgpu::{Renderer, RendererOptions, ScreenDescriptor};
use image::{RgbaImage, imageops};
use striate::wgpu;

use crate::app::{App, CONTROLS, GAP};
use crate::expected;
use crate::filter::{Filter, Kernel, OUTLINE, PADDINGS};
use crate::host::{Host, Outcome};

/// The most by which a byte may differ: results between two bytes are rounded to either.
const ALLOWED: u8 = 1;

/// Draws frames and checks each.
///
/// # Errors
/// What the device and files say; if a frame shows what it should not.
pub fn run(picture: Option<&RgbaImage>, frames: u32, out: Option<&Path>) -> Outcome<()> {
    let host = Host::without_surface()?;
    let format = wgpu::TextureFormat::Rgba8Unorm;
    let renderer = RendererOptions::PREDICTABLE;
    let mut renderer = Renderer::new(&host.device, format, renderer);
    let mut app = App::new(&host, &mut renderer, picture)?;
    println!("on {}", app.engine().describe());
    let mut screen = Screen::new(&host, renderer, &app)?;

    let mut milliseconds = Vec::new();
    let mut largest = 0;
    for number in 0..frames {
        app.filter = chosen(number as usize);
        let begun = Instant::now();
        screen.draw(&host, &mut app, f64::from(number) / 60.0)?;
        let took = 1e3 * begun.elapsed().as_secs_f32();
        app.tell(took);
        milliseconds.push(took);
        let seen = Seen::new(&host, &screen, &app)?;
        largest = largest.max(seen.check(app.filter).map_err(|wrong| {
            let (kernel, padding) = (app.filter.kernel, app.filter.padding);
            format!("frame {number}, {kernel:?} with {padding:?}: {wrong}")
        })?);
        if let (Some(out), true) = (out, number + 1 == frames) {
            seen.write(out)?;
        }
    }
    milliseconds.sort_by(f32::total_cmp);
    let median = milliseconds[milliseconds.len() / 2];
    println!("{frames} frames as expected, within {largest} of 255; median {median:.1} ms");
    Ok(())
}

/// Each kernel with each padding, in 24 frames; then one that stays.
fn chosen(number: usize) -> Filter {
    let kernels = Kernel::all(OUTLINE).map(|(kernel, _)| kernel);
    let paddings = PADDINGS.map(|(padding, _)| padding);
    if number >= kernels.len() * paddings.len() {
        return Filter::default();
    }
    let turn = number / kernels.len();
    Filter {
        kernel: kernels[number % kernels.len()],
        padding: paddings[(number + turn) % paddings.len()],
    }
}

/// A texture in place of a window.
struct Screen {
    context: egui::Context,
    renderer: Renderer,
    texture: wgpu::Texture,
}

impl Screen {
    /// As large as two pictures and the controls.
    fn new(host: &Host, renderer: Renderer, app: &App) -> Outcome<Self> {
        let (width, height) = (app.filtered.width(), app.filtered.height());
        let beside = (CONTROLS + GAP) as u32 + 56;
        let size = [2 * width + beside, (height + 24).max(480)];
        let usage = wgpu::TextureUsages::RENDER_ATTACHMENT;
        Ok(Self {
            context: egui::Context::default(),
            renderer,
            texture: host.texture("screen", size, usage)?,
        })
    }

    /// One frame, as a window would draw it: one submission of the host's.
    fn draw(&mut self, host: &Host, app: &mut App, seconds: f64) -> Outcome<()> {
        let (device, queue) = (&host.device, &host.queue);
        let size = [self.texture.width(), self.texture.height()];
        let corner = egui::pos2(size[0] as f32, size[1] as f32);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_max(egui::Pos2::ZERO, corner)),
            time: Some(seconds),
            ..Default::default()
        };
        let mut output = self.context.run_ui(input, |ui| app.ui(ui));
        let jobs = self
            .context
            .tessellate(output.shapes, output.pixels_per_point);
        let screen = ScreenDescriptor {
            size_in_pixels: size,
            pixels_per_point: output.pixels_per_point,
        };
        for (id, deltas) in output.textures_delta.set.drain() {
            for delta in deltas {
                self.renderer.update_texture(device, queue, id, &delta);
            }
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        // This calls the app's `InFrame::prepare`.
        let renderer = &mut self.renderer;
        let others = renderer.update_buffers(device, queue, &mut encoder, &jobs, &screen);
        let view = self.texture.create_view(&Default::default());
        let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("screen"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        renderer.render(&mut pass.forget_lifetime(), &jobs, &screen);
        queue.submit(others.into_iter().chain([encoder.finish()]));
        device.poll(wgpu::PollType::wait_indefinitely())?;
        for id in output.textures_delta.free.drain() {
            self.renderer.free_texture(&id);
        }
        match app.failed() {
            Some(failed) => Err(failed.into()),
            None => Ok(()),
        }
    }
}

/// What a frame left in textures.
struct Seen {
    source: RgbaImage,
    filtered: RgbaImage,
    screen: RgbaImage,
    /// The filtered picture on the screen.
    shown: RgbaImage,
}

impl Seen {
    fn new(host: &Host, screen: &Screen, app: &App) -> Outcome<Self> {
        let screen = host.look(&screen.texture)?;
        let place = app.place;
        let (left, top) = (place.left() as u32, place.top() as u32);
        let (width, height) = (place.width() as u32, place.height() as u32);
        Ok(Self {
            source: host.look(&app.source())?,
            filtered: host.look(&app.filtered)?,
            shown: imageops::crop_imm(&screen, left, top, width, height).to_image(),
            screen,
        })
    }

    /// The largest difference that there is, if it is allowed.
    fn check(&self, filter: Filter) -> std::result::Result<u8, String> {
        if self
            .source
            .pixels()
            .all(|pixel| pixel == self.source.get_pixel(0, 0))
        {
            return Err("the picture is of one colour, which shows nothing".to_owned());
        }
        let expected = expected::filtered(&self.source, filter);
        let filtered = expected::difference(&self.filtered, &expected);
        let shown = expected::difference(&self.shown, &self.filtered);
        if filtered.max(shown) > ALLOWED {
            return Err(format!(
                "the filtered picture differs by {filtered} of 255 from what the CPU computes, \
                 and what egui shows by {shown} from it; {ALLOWED} is allowed"
            ));
        }
        Ok(filtered.max(shown))
    }

    fn write(&self, folder: &Path) -> Outcome<()> {
        let failed =
            |error: &dyn std::fmt::Display, path: &Path| format!("{}: {error}", path.display());
        fs::create_dir_all(folder).map_err(|error| failed(&error, folder))?;
        for (name, picture) in [
            ("picture.png", &self.source),
            ("filtered.png", &self.filtered),
            ("screen.png", &self.screen),
        ] {
            let path = folder.join(name);
            picture.save(&path).map_err(|error| failed(&error, &path))?;
        }
        println!("{} holds the last frame", folder.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use image::Rgba;
    use striate::shape::PaddingMode;

    use super::*;

    #[test]
    fn frames_that_are_wrong_are_refused() {
        let filter = Filter::default();
        let source = RgbaImage::from_fn(8, 6, |x, y| {
            Rgba([9 * x as u8, 11 * y as u8, 40 * (x ^ y) as u8 % 251, 255])
        });
        let seen = |source: &RgbaImage, filtered: &RgbaImage, shown: &RgbaImage| Seen {
            source: source.clone(),
            filtered: filtered.clone(),
            screen: shown.clone(),
            shown: shown.clone(),
        };
        let right = expected::filtered(&source, filter);
        assert_eq!(seen(&source, &right, &right).check(filter), Ok(0));
        let other = Filter {
            padding: PaddingMode::Zeros,
            ..filter
        };
        let wrong = expected::filtered(&source, other);
        assert!(seen(&source, &wrong, &wrong).check(filter).is_err());
        assert!(seen(&source, &right, &wrong).check(filter).is_err());
        let flat = RgbaImage::new(8, 6);
        let black = expected::filtered(&flat, filter);
        assert!(seen(&flat, &black, &black).check(filter).is_err());
    }

    #[test]
    fn frames_take_each_kernel_with_each_padding() {
        let all: Vec<Filter> = (0..24).map(chosen).collect();
        for (at, filter) in all.iter().enumerate() {
            assert!(!all[..at].contains(filter), "{filter:?} twice");
        }
    }
}
