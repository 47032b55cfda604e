//! What egui shows: the picture, the picture as the network makes it, and the controls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egui_wgpu::{CallbackResources, CallbackTrait, Renderer, ScreenDescriptor};
use image::RgbaImage;
use striate::prelude::*;
use striate::wgpu;

use crate::filter::{Filter, Kernel, OUTLINE, PADDINGS};
use crate::host::{Host, Outcome};
use crate::network::Network;
use crate::source::Source;

/// Points between both pictures, and the width of the controls.
pub const GAP: f32 = 8.0;
pub const CONTROLS: f32 = 200.0;

/// Frames whose time is drawn.
const DRAWN: usize = 120;

/// The interface, on egui's device.
pub struct App {
    /// What the user has chosen.
    pub filter: Filter,
    /// Where the filtered picture was drawn last, in points.
    pub place: egui::Rect,
    /// What the network writes.
    pub filtered: wgpu::Texture,
    own: [f32; 9],
    compiled: Option<Filter>,
    engine: Engine,
    frame: Arc<Mutex<Frame>>,
    shown: [egui::TextureId; 2],
    milliseconds: VecDeque<f32>,
}

/// What is recorded in each frame.
struct Frame {
    source: Source,
    network: Option<Network>,
    failed: Option<String>,
}

/// The frame's place among what egui draws.
struct InFrame {
    frame: Arc<Mutex<Frame>>,
    seconds: f32,
}

fn locked(frame: &Mutex<Frame>) -> MutexGuard<'_, Frame> {
    frame.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CallbackTrait for InFrame {
    /// egui calls this before its own pass. What is recorded into its encoder is submitted with it.
    fn prepare(
        &self,
        _: &wgpu::Device,
        queue: &wgpu::Queue,
        _: &ScreenDescriptor,
        encoder: &mut wgpu::CommandEncoder,
        _: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let mut frame = locked(&self.frame);
        frame.source.record(queue, encoder, self.seconds);
        let recorded = frame
            .network
            .as_mut()
            .map(|network| network.record(encoder));
        if let Some(Err(error)) = recorded {
            frame.failed = Some(error.to_string());
        }
        Vec::new()
    }

    /// The pictures are images of egui's, so that nothing is left to draw.
    fn paint(
        &self,
        _: egui::PaintCallbackInfo,
        _: &mut wgpu::RenderPass<'static>,
        _: &CallbackResources,
    ) {
    }
}

impl App {
    /// On the device of `renderer`, which learns of both textures.
    ///
    /// # Errors
    /// If the device allows less than the kernels or the picture need.
    pub fn new(host: &Host, renderer: &mut Renderer, picture: Option<&RgbaImage>) -> Outcome<Self> {
        // The device stays egui's, which submits and polls.
        let gpu = Gpu::from_device(host.device.clone(), host.queue.clone())?;
        let source = Source::new(host, picture)?;
        let size = [source.texture.width(), source.texture.height()];
        let stored = wgpu::TextureUsages::STORAGE_BINDING;
        let filtered = host.texture("filtered", size, stored)?;
        let shown = [&source.texture, &filtered].map(|texture| {
            let view = texture.create_view(&Default::default());
            renderer.register_native_texture(&host.device, &view, wgpu::FilterMode::Nearest)
        });
        Ok(Self {
            filter: Filter::default(),
            place: egui::Rect::NOTHING,
            filtered,
            own: OUTLINE,
            compiled: None,
            engine: Engine::from(gpu),
            frame: Arc::new(Mutex::new(Frame {
                source,
                network: None,
                failed: None,
            })),
            shown,
            milliseconds: VecDeque::new(),
        })
    }

    /// What it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The texture that is filtered.
    pub fn source(&self) -> wgpu::Texture {
        locked(&self.frame).source.texture.clone()
    }

    /// Why the network does not run, if it does not.
    pub fn failed(&self) -> Option<String> {
        locked(&self.frame).failed.clone()
    }

    /// Takes in how long a frame took.
    pub fn tell(&mut self, milliseconds: f32) {
        if self.milliseconds.len() == DRAWN {
            self.milliseconds.pop_front();
        }
        self.milliseconds.push_back(milliseconds);
    }

    /// One frame.
    pub fn ui(&mut self, ui: &mut egui::Ui) {
        let side = egui::Panel::right("controls").exact_size(CONTROLS);
        side.show(ui, |ui| self.controls(ui));
        if self.compiled != Some(self.filter) {
            self.compile();
        }
        egui::CentralPanel::default().show(ui, |ui| self.pictures(ui));
    }

    fn compile(&mut self) {
        let mut frame = locked(&self.frame);
        let from = &frame.source.texture;
        let network = Network::new(&self.engine, self.filter, from, &self.filtered);
        frame.failed = network.as_ref().err().map(ToString::to_string);
        frame.network = network.ok();
        self.compiled = Some(self.filter);
    }

    fn controls(&mut self, ui: &mut egui::Ui) {
        ui.heading("kernel");
        for (kernel, name) in Kernel::all(self.own) {
            ui.radio_value(&mut self.filter.kernel, kernel, name);
        }
        if let Kernel::Own(matrix) = &mut self.filter.kernel {
            egui::Grid::new("own").show(ui, |ui| {
                for row in matrix.chunks_mut(3) {
                    for number in row {
                        let typed = egui::DragValue::new(number).speed(0.05);
                        ui.add(typed.range(-100.0..=100.0));
                    }
                    ui.end_row();
                }
            });
            self.own = *matrix;
        }
        ui.separator();
        ui.heading("padding");
        for (padding, name) in PADDINGS {
            ui.radio_value(&mut self.filter.padding, padding, name);
        }
        ui.separator();
        let last = self.milliseconds.back().copied().unwrap_or_default();
        ui.label(format!("frame {last:.1} ms"));
        self.times(ui);
        if let Some(failed) = self.failed() {
            ui.colored_label(ui.visuals().error_fg_color, failed);
        }
    }

    /// A line through the times of the last frames.
    fn times(&self, ui: &mut egui::Ui) {
        let size = egui::vec2(ui.available_width(), 60.0);
        let (place, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        let painter = ui.painter_at(place);
        painter.rect_filled(place, 2.0, ui.visuals().extreme_bg_color);
        let most = self.milliseconds.iter().copied().fold(1.0, f32::max);
        let points = self.milliseconds.iter().enumerate().map(|(at, time)| {
            let across = place.left() + place.width() * at as f32 / (DRAWN - 1) as f32;
            egui::pos2(across, place.bottom() - place.height() * time / most)
        });
        let stroke = egui::Stroke::new(1.0, ui.visuals().hyperlink_color);
        painter.add(egui::Shape::line(points.collect(), stroke));
    }

    /// Both pictures, texel by texel where there is room.
    fn pictures(&mut self, ui: &mut egui::Ui) {
        let (space, pixels) = (ui.available_rect_before_wrap(), ui.pixels_per_point());
        let texels = egui::vec2(self.filtered.width() as f32, self.filtered.height() as f32);
        let across = (space.width() - GAP) / (2.0 * texels.x);
        let scale = pixels * across.min(space.height() / texels.y);
        let scale = if scale >= 1.0 { scale.floor() } else { scale };
        let size = texels * scale / pixels;
        let corner = egui::pos2(space.left(), space.center().y - 0.5 * size.y);
        let corner = (corner.to_vec2() * pixels).round() / pixels;
        let places = [0.0, 1.0].map(|at| {
            let corner = corner.to_pos2() + egui::vec2(at * (size.x + GAP), 0.0);
            egui::Rect::from_min_size(corner, size)
        });
        let whole = egui::Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
        for (place, texture) in places.into_iter().zip(self.shown) {
            let painter = ui.painter();
            painter.image(texture, place, whole, egui::Color32::WHITE);
        }
        self.place = places[1];
        let in_frame = InFrame {
            frame: self.frame.clone(),
            seconds: ui.input(|input| input.time) as f32,
        };
        let callback = egui_wgpu::Callback::new_paint_callback(self.place, in_frame);
        ui.painter().add(callback);
    }
}
