//! In a window of eframe, which owns the device, submits and polls.

use image::RgbaImage;

use crate::app::App;
use crate::host::{Host, Outcome};

struct Window(App);

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.0.tell(1e3 * ui.input(|input| input.unstable_dt));
        self.0.ui(ui);
        ui.request_repaint();
    }
}

/// Opens the window and draws until it is closed.
///
/// # Errors
/// What the window system and the device say.
pub fn run(picture: Option<RgbaImage>) -> Outcome<()> {
    let options = eframe::NativeOptions {
        renderer: eframe::Renderer::Wgpu,
        viewport: egui::ViewportBuilder::default().with_inner_size([920.0, 520.0]),
        ..Default::default()
    };
    let open = move |creation: &eframe::CreationContext<'_>| -> Outcome<Box<dyn eframe::App>> {
        let state = creation.wgpu_render_state.as_ref();
        let state = state.ok_or("eframe does not draw by wgpu here")?;
        let host = Host {
            device: state.device.clone(),
            queue: state.queue.clone(),
        };
        let app = App::new(&host, &mut state.renderer.write(), picture.as_ref())?;
        Ok(Box::new(Window(app)))
    };
    // What eframe returns may stay on its thread alone.
    let ran = eframe::run_native("A network in egui's frame", options, Box::new(open));
    ran.map_err(|error| error.to_string().into())
}
