//! In a window: the frame, what of it is shown, the camera, how long frames take, and how the
//! network adapts.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui_wgpu::{Renderer, RendererOptions, ScreenDescriptor};
use striate::wgpu::{self, CurrentSurfaceTexture};
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::window::{Window, WindowId};

use crate::adapt::{Adapter, Point};
use crate::headless::FrameArgs;
use crate::host::{Host, Outcome};
use crate::shown::{Shown, View};
use crate::stage::Stage;

/// Frames of which the graph shows the time.
const GRAPHED: usize = 120;
/// Where adapted weights go, if the command line says nothing.
const ADAPTED: &str = "adapted.safetensors";

/// Opens the window and draws until it is closed.
///
/// # Errors
/// What the window system, the device and the weights' file say.
pub fn run(args: &FrameArgs) -> Outcome<()> {
    let event_loop = EventLoop::new()?;
    event_loop.set_control_flow(ControlFlow::Poll);
    let mut app = App {
        args: args.clone(),
        running: None,
        failed: None,
    };
    event_loop.run_app(&mut app)?;
    match app.failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct App {
    args: FrameArgs,
    running: Option<Running>,
    failed: Option<Box<dyn std::error::Error>>,
}

impl App {
    /// Ends the program if something failed.
    fn expect(&mut self, done: Outcome<()>, event_loop: &ActiveEventLoop) {
        if let Err(error) = done {
            self.failed = Some(error);
            event_loop.exit();
        }
    }
}

impl ApplicationHandler for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.running.is_none() {
            let running = Running::new(event_loop, &self.args);
            let running = running.map(|running| self.running = Some(running));
            self.expect(running, event_loop);
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(running) = &mut self.running else {
            return;
        };
        let taken = running.input.on_window_event(&running.window, &event);
        let done = match event {
            WindowEvent::CloseRequested => {
                event_loop.exit();
                Ok(())
            }
            WindowEvent::Resized(_) => {
                running.configure();
                Ok(())
            }
            WindowEvent::RedrawRequested => running.draw(),
            _ => {
                if taken.repaint {
                    running.window.request_redraw();
                }
                Ok(())
            }
        };
        self.expect(done, event_loop);
    }

    fn about_to_wait(&mut self, _: &ActiveEventLoop) {
        if let Some(running) = &self.running {
            running.window.request_redraw();
        }
    }
}

/// The window, and all that is drawn into it.
struct Running {
    window: Arc<Window>,
    host: Host,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    input: egui_winit::State,
    renderer: Renderer,
    stage: Stage,
    shown: Shown,
    texture: egui::TextureId,
    panel: Controls,
}

/// What the user has set, and what he is told.
struct Controls {
    view: View,
    /// Degrees around the box.
    orbit: f32,
    turns: bool,
    /// Milliseconds of the last frames.
    times: VecDeque<f64>,
    bytes: u64,
    /// Whether the network adapts.
    adapts: bool,
    /// Milliseconds of a frame for that; half a frame until it is set.
    budget: Option<f64>,
    /// Where the weights are written, and whether they are to be, now.
    path: PathBuf,
    saves: bool,
    /// What became of it.
    saved: Option<String>,
}

impl Running {
    fn new(event_loop: &ActiveEventLoop, args: &FrameArgs) -> Outcome<Self> {
        let attributes = Window::default_attributes().with_title("denoise");
        let window = Arc::new(event_loop.create_window(attributes)?);
        let display = Box::new(event_loop.owned_display_handle());
        let descriptor = wgpu::InstanceDescriptor::new_with_display_handle_from_env(display);
        let instance = wgpu::Instance::new(descriptor);
        let surface = instance.create_surface(window.clone())?;
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            compatible_surface: Some(&surface),
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options))?;
        let host = Host::open(&adapter)?;
        let size = window.inner_size();
        let config = surface.get_default_config(&adapter, size.width.max(1), size.height.max(1));
        let mut config = config.ok_or("the window's surface cannot be drawn to")?;
        // What egui draws is encoded already.
        config.format = config.format.remove_srgb_suffix();

        let stage = Stage::new(&host, args, Some(args.adapt_settings()))?;
        let shown = Shown::new(&host.device, &stage.tracer, &stage.network.texture);
        let mut renderer = Renderer::new(&host.device, config.format, RendererOptions::default());
        let view = shown.texture.create_view(&Default::default());
        let filter = wgpu::FilterMode::Nearest;
        let texture = renderer.register_native_texture(&host.device, &view, filter);
        let context = egui::Context::default();
        let scale = Some(window.scale_factor() as f32);
        let side = Some(host.device.limits().max_texture_dimension_2d as usize);
        let root = egui::ViewportId::ROOT;
        let input = egui_winit::State::new(context, root, &*window, scale, window.theme(), side);
        let panel = Controls {
            view: View::Denoised,
            orbit: stage.scene.camera.orbit.to_degrees(),
            turns: false,
            times: VecDeque::new(),
            bytes: stage.bytes(),
            adapts: false,
            budget: args.budget,
            path: args.save.clone().unwrap_or_else(|| ADAPTED.into()),
            saves: false,
            saved: None,
        };
        let running = Self {
            window,
            host,
            surface,
            config,
            input,
            renderer,
            stage,
            shown,
            texture,
            panel,
        };
        running
            .surface
            .configure(&running.host.device, &running.config);
        Ok(running)
    }

    /// Brings the surface to the window's size.
    fn configure(&mut self) {
        let size = self.window.inner_size();
        if size.width > 0 && size.height > 0 {
            (self.config.width, self.config.height) = (size.width, size.height);
            self.surface.configure(&self.host.device, &self.config);
        }
    }

    fn draw(&mut self) -> Outcome<()> {
        let frame = match self.surface.get_current_texture() {
            CurrentSurfaceTexture::Success(frame) => frame,
            CurrentSurfaceTexture::Timeout | CurrentSurfaceTexture::Occluded => return Ok(()),
            CurrentSurfaceTexture::Suboptimal(_)
            | CurrentSurfaceTexture::Outdated
            | CurrentSurfaceTexture::Lost => {
                self.configure();
                return Ok(());
            }
            CurrentSurfaceTexture::Validation => return Err("the surface was refused".into()),
        };
        let moved = self.turn();
        let mut drawn = self.stage.record(&self.host, moved, self.panel.adapts)?;

        let input = self.input.take_egui_input(&self.window);
        let context = self.input.egui_ctx().clone();
        let (panel, texture) = (&mut self.panel, self.texture);
        let adapter = self.stage.adapter.as_ref();
        let mut output = context.run_ui(input, |ui| panel.show(ui, texture, adapter));
        self.input
            .handle_platform_output(&self.window, output.platform_output);
        let scale = output.pixels_per_point;
        let jobs = context.tessellate(output.shapes, scale);
        let screen = ScreenDescriptor {
            size_in_pixels: [self.config.width, self.config.height],
            pixels_per_point: scale,
        };
        let (device, queue) = (&self.host.device, &self.host.queue);
        for (id, deltas) in output.textures_delta.set.drain() {
            for delta in deltas {
                self.renderer.update_texture(device, queue, id, &delta);
            }
        }
        let encoder = &mut drawn.encoder;
        self.shown.record(encoder, self.panel.view);
        let renderer = &mut self.renderer;
        let others = renderer.update_buffers(device, queue, encoder, &jobs, &screen);
        let view = frame.texture.create_view(&Default::default());
        let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("window"),
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
        let drawn = self.stage.submit(&self.host, drawn, others)?;
        self.host.queue.present(frame);
        for id in output.textures_delta.free.drain() {
            self.renderer.free_texture(&id);
        }
        if self.panel.times.len() == GRAPHED {
            self.panel.times.pop_front();
        }
        self.panel.times.push_back(drawn.milliseconds);
        self.obey();
        Ok(())
    }

    /// Does what the controls ask of the adapter. Weights that cannot be saved end nothing.
    fn obey(&mut self) {
        if let (Some(adapter), Some(budget)) = (&mut self.stage.adapter, self.panel.budget) {
            adapter.set_budget(budget);
        }
        if std::mem::take(&mut self.panel.saves) {
            let path: &Path = &self.panel.path;
            let saved = self.stage.network.save(&self.host, path);
            self.panel.saved = Some(match saved {
                Ok(()) => format!("saved to {}", path.display()),
                Err(error) => error.to_string(),
            });
        }
    }

    /// Moves the camera to where the controls say; whether it has moved.
    fn turn(&mut self) -> bool {
        if self.panel.turns {
            self.panel.orbit = (self.panel.orbit + 180.5) % 360.0 - 180.0;
        }
        let orbit = self.panel.orbit.to_radians();
        let camera = &mut self.stage.scene.camera;
        let moved = camera.orbit != orbit || self.panel.times.is_empty();
        camera.orbit = orbit;
        moved
    }
}

impl Controls {
    fn show(&mut self, ui: &mut egui::Ui, texture: egui::TextureId, adapter: Option<&Adapter>) {
        let side = egui::Panel::right("controls").exact_size(240.0);
        side.show(ui, |ui| {
            for (view, name) in View::ALL {
                ui.radio_value(&mut self.view, view, name);
            }
            ui.separator();
            let around = egui::Slider::new(&mut self.orbit, -180.0..=180.0);
            ui.add(around.suffix("°").text("orbit"));
            ui.checkbox(&mut self.turns, "turn");
            ui.separator();
            let last = self.times.back().copied().unwrap_or_default();
            ui.label(format!("frame {last:.1} ms"));
            self.graph(ui);
            ui.label(format!("{:.1} MB on the device", self.bytes as f64 / 1e6));
            if let Some(adapter) = adapter {
                ui.separator();
                self.adapting(ui, adapter);
            }
        });
        egui::CentralPanel::default().show(ui, |ui| {
            let most = ui.available_size();
            let image = egui::load::SizedTexture::new(texture, egui::Vec2::splat(1.0));
            let side = most.x.min(most.y);
            ui.add(egui::Image::from_texture(image).fit_to_exact_size([side, side].into()));
        });
    }

    /// Whether the network adapts, in how much of each frame, and what came of it.
    fn adapting(&mut self, ui: &mut egui::Ui, adapter: &Adapter) {
        ui.checkbox(&mut self.adapts, "adapt to this scene");
        let mut budget = adapter.budget().unwrap_or_default();
        let range = 0.1..=budget.max(50.0);
        let slider = egui::Slider::new(&mut budget, range).logarithmic(true);
        if ui.add(slider.suffix(" ms").text("budget")).changed() {
            self.budget = Some(budget);
        }
        let ([tiles, held], steps) = (adapter.counts(), adapter.steps());
        ui.label(format!("{tiles} tiles, {held} kept back; {steps} steps"));
        let points = adapter.points();
        if let [first, .., last] = points {
            let (before, after) = (first.psnr, last.psnr);
            ui.label(format!("kept back: {before:.2} dB, now {after:.2} dB"));
        }
        ratios(ui, points);
        if ui.button("save weights").clicked() {
            self.saves = true;
        }
        if let Some(saved) = &self.saved {
            ui.label(saved);
        }
    }

    /// A bar for each of the last frames.
    fn graph(&self, ui: &mut egui::Ui) {
        let (painter, place) = ground(ui);
        let most = self.times.iter().copied().fold(1.0, f64::max);
        let width = place.width() / GRAPHED as f32;
        for (number, &time) in self.times.iter().enumerate() {
            let left = place.left() + number as f32 * width;
            let height = |time: f64| place.bottom() - (time / most) as f32 * place.height();
            let corner = egui::pos2(left, height(time));
            let bar = egui::Rect::from_min_max(corner, egui::pos2(left + width, place.bottom()));
            painter.rect_filled(bar, 0.0, COLOUR);
        }
        let text = format!("{most:.0} ms");
        note(&painter, place, egui::Align2::LEFT_TOP, &text);
    }
}

/// What graphs are drawn in.
const COLOUR: egui::Color32 = egui::Color32::from_rgb(90, 140, 220);

/// Room for a graph, and where it is.
fn ground(ui: &mut egui::Ui) -> (egui::Painter, egui::Rect) {
    let size = egui::vec2(ui.available_width(), 80.0);
    let (place, _) = ui.allocate_exact_size(size, egui::Sense::hover());
    let painter = ui.painter_at(place);
    painter.rect_filled(place, 2.0, egui::Color32::from_gray(24));
    (painter, place)
}

/// A note in a corner of a graph.
fn note(painter: &egui::Painter, place: egui::Rect, corner: egui::Align2, text: &str) {
    let at = corner.pos_in_rect(&place.shrink2(egui::vec2(4.0, 2.0)));
    let font = egui::FontId::proportional(11.0);
    painter.text(at, corner, text, font, egui::Color32::GRAY);
}

/// PSNR of the tiles kept back over seconds.
fn ratios(ui: &mut egui::Ui, points: &[Point]) {
    let (painter, whole) = ground(ui);
    let place = whole.shrink(4.0);
    let points: Vec<&Point> = points.iter().filter(|p| p.psnr.is_finite()).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return;
    };
    let low = points.iter().map(|p| p.psnr).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.psnr).fold(low, f64::max);
    let share = |x: f64, from: f64, to: f64| ((x - from) / (to - from).max(1e-3)) as f32;
    let line = points.iter().map(|point| {
        let x = share(point.seconds, first.seconds, last.seconds);
        let y = share(point.psnr, low, high);
        let [across, down] = [x * place.width(), y * place.height()];
        egui::pos2(place.left() + across, place.bottom() - down)
    });
    let stroke = egui::Stroke::new(1.5, COLOUR);
    painter.add(egui::Shape::line(line.collect(), stroke));
    for (corner, text) in [
        (egui::Align2::LEFT_TOP, format!("{high:.2} dB")),
        (egui::Align2::LEFT_BOTTOM, format!("{low:.2} dB")),
        (egui::Align2::RIGHT_BOTTOM, format!("{:.0} s", last.seconds)),
    ] {
        note(&painter, whole, corner, &text);
    }
}
