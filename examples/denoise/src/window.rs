//! In a window: the frame, what of it is shown, the camera, and how long frames take.

use std::collections::VecDeque;
use std::sync::Arc;

use egui_wgpu::{Renderer, RendererOptions, ScreenDescriptor};
use striate::wgpu::{self, CurrentSurfaceTexture};
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::window::{Window, WindowId};

use crate::headless::FrameArgs;
use crate::host::{Host, Outcome};
use crate::shown::{Shown, View};
use crate::stage::Stage;

/// Frames of which the graph shows the time.
const GRAPHED: usize = 120;

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
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
        let host = Host { device, queue };
        let size = window.inner_size();
        let config = surface.get_default_config(&adapter, size.width.max(1), size.height.max(1));
        let mut config = config.ok_or("the window's surface cannot be drawn to")?;
        // What egui draws is encoded already.
        config.format = config.format.remove_srgb_suffix();

        let stage = Stage::new(&host, args)?;
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
        let drawn = self.stage.frame(&self.host, moved)?;
        if self.panel.times.len() == GRAPHED {
            self.panel.times.pop_front();
        }
        self.panel.times.push_back(drawn.milliseconds);

        let input = self.input.take_egui_input(&self.window);
        let context = self.input.egui_ctx().clone();
        let (panel, texture) = (&mut self.panel, self.texture);
        let mut output = context.run_ui(input, |ui| panel.show(ui, texture));
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
        let mut encoder = device.create_command_encoder(&Default::default());
        self.shown.record(&mut encoder, self.panel.view);
        let renderer = &mut self.renderer;
        let others = renderer.update_buffers(device, queue, &mut encoder, &jobs, &screen);
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
        queue.submit(others.into_iter().chain([encoder.finish()]));
        queue.present(frame);
        for id in output.textures_delta.free.drain() {
            self.renderer.free_texture(&id);
        }
        Ok(())
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
    fn show(&mut self, ui: &mut egui::Ui, texture: egui::TextureId) {
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
        });
        egui::CentralPanel::default().show(ui, |ui| {
            let most = ui.available_size();
            let image = egui::load::SizedTexture::new(texture, egui::Vec2::splat(1.0));
            let side = most.x.min(most.y);
            ui.add(egui::Image::from_texture(image).fit_to_exact_size([side, side].into()));
        });
    }

    /// A bar for each of the last frames.
    fn graph(&self, ui: &mut egui::Ui) {
        let size = egui::vec2(ui.available_width(), 80.0);
        let (place, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        let painter = ui.painter_at(place);
        painter.rect_filled(place, 2.0, egui::Color32::from_gray(24));
        let most = self.times.iter().copied().fold(1.0, f64::max);
        let width = place.width() / GRAPHED as f32;
        for (number, &time) in self.times.iter().enumerate() {
            let left = place.left() + number as f32 * width;
            let height = |time: f64| place.bottom() - (time / most) as f32 * place.height();
            let corner = egui::pos2(left, height(time));
            let bar = egui::Rect::from_min_max(corner, egui::pos2(left + width, place.bottom()));
            painter.rect_filled(bar, 0.0, egui::Color32::from_rgb(90, 140, 220));
        }
        let corner = place.left_top() + egui::vec2(4.0, 2.0);
        let text = format!("{most:.0} ms");
        let font = egui::FontId::proportional(11.0);
        painter.text(
            corner,
            egui::Align2::LEFT_TOP,
            text,
            font,
            egui::Color32::GRAY,
        );
    }
}
