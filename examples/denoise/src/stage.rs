//! What headless frames and the window have in common: a scene, the tracer and the network.

use std::time::Instant;

use crate::headless::FrameArgs;
use crate::host::{Host, Outcome};
use crate::in_frame::InFrame;
use crate::network::Network;
use crate::picture::Picture;
use crate::scene::Scene;
use crate::tiles::{TileSettings, converge, noisy};
use crate::tracer::Tracer;

/// Frames of one size, traced and denoised one after the other.
#[derive(Debug)]
pub struct Stage {
    /// What is drawn.
    pub scene: Scene,
    /// The tracer, whose textures hold the last frame.
    pub tracer: Tracer,
    /// The network, whose texture holds what it makes of it.
    pub network: InFrame,
    settings: TileSettings,
    next: u32,
}

/// One frame.
#[derive(Debug)]
pub struct Frame {
    /// Its number.
    pub number: u32,
    /// Milliseconds from the begin of recording until it was drawn.
    pub milliseconds: f64,
}

impl Stage {
    /// What the command line asks for.
    ///
    /// # Errors
    /// What the weights' file and the device say.
    pub fn new(host: &Host, args: &FrameArgs) -> Outcome<Self> {
        let (network, weights) = Network::load(&args.weights)?;
        let [width, height] = args.size;
        let tracer = Tracer::new(&host.device, &host.queue, args.size);
        let stage = Self {
            scene: args.scene(),
            network: InFrame::new(host, &network, &weights, &tracer)?,
            tracer,
            settings: TileSettings {
                window: [0, 0, width, height],
                seed: args.seed,
                samples: args.reference,
                frames: 0,
            },
            next: 0,
        };
        println!("on {}", host.engine()?.describe());
        let (count, bytes) = (network.parameters(), stage.bytes());
        println!("network of {count} parameters; {bytes} bytes on the device");
        Ok(stage)
    }

    /// Bytes of all its buffers and textures on the device.
    pub fn bytes(&self) -> u64 {
        self.network.bytes() + self.tracer.bytes()
    }

    /// The converged picture, of as many samples as the command line says.
    ///
    /// # Errors
    /// What the device says.
    pub fn reference(&mut self, host: &Host) -> Outcome<Picture> {
        converge(host, &mut self.tracer, &self.scene, &self.settings)
    }

    /// Traces and denoises the next frame in one submission, and waits for it. `restart` begins the
    /// mean of the tracer anew.
    ///
    /// # Errors
    /// What the device says.
    pub fn frame(&mut self, host: &Host, restart: bool) -> Outcome<Frame> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let begun = Instant::now();
        let mut encoder = host.device.create_command_encoder(&Default::default());
        let mut shot = noisy(&self.settings, number);
        shot.restart = restart;
        self.tracer.record(&mut encoder, &self.scene, &shot);
        self.network.record(&mut encoder)?;
        host.queue.submit([encoder.finish()]);
        host.poll()?;
        Ok(Frame {
            number,
            milliseconds: begun.elapsed().as_secs_f64() * 1e3,
        })
    }

    /// What the last frame left in the textures: colour, albedo and normals as they were traced,
    /// and the colour as the network makes it.
    ///
    /// # Errors
    /// What the device says.
    pub fn look(&self, host: &Host) -> Outcome<[Picture; 4]> {
        let Tracer {
            colour,
            albedo,
            normal,
            ..
        } = &self.tracer;
        host.look([colour, albedo, normal, &self.network.texture])
    }
}
