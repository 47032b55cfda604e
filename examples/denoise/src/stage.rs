//! What headless frames and the window have in common: a scene, the tracer and the network.

use std::time::Instant;

use striate::prelude::*;
use striate::wgpu;

use crate::adapt::{AdaptGraphs, AdaptSettings, Adapter};
use crate::headless::FrameArgs;
use crate::host::{Copies, Host, Outcome};
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
    /// What adapts the network, if it was asked for.
    pub adapter: Option<Adapter>,
    copies: Copies<4>,
    settings: TileSettings,
    next: u32,
}

/// A frame that is recorded and not submitted.
#[derive(Debug)]
pub struct Recorded {
    /// What holds it. The host may record more.
    pub encoder: wgpu::CommandEncoder,
    number: u32,
    begun: Instant,
    submissions: u64,
    adapts: bool,
}

/// One frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Its number.
    pub number: u32,
    /// Milliseconds from the begin of recording until it was drawn.
    pub milliseconds: f64,
    /// Submissions to the queue that it took.
    pub submissions: u64,
}

impl Stage {
    /// What the command line asks for, and an adapter with these settings.
    ///
    /// # Errors
    /// What the weights' file and the device say.
    pub fn new(host: &Host, args: &FrameArgs, adapt: Option<AdaptSettings>) -> Outcome<Self> {
        let (network, weights) = Network::load(&args.weights)?;
        let [width, height] = args.size;
        let scene = args.scene();
        let tracer = Tracer::new(&host.device, &host.queue, args.size);
        let graphs = adapt.map(|settings| {
            let graphs = AdaptGraphs::new(&network, args.size, &settings);
            graphs.map(|graphs| (graphs, settings))
        });
        let graphs = graphs.transpose()?;
        let others: Vec<&Graph> = graphs.iter().flat_map(|(all, _)| all.all()).collect();
        let in_frame = InFrame::new(host, &network, &weights, &tracer, &others)?;
        let adapter = graphs.map(|(graphs, settings)| {
            let store = &in_frame.store;
            Adapter::new(host, store, &graphs, &scene, args.size, settings)
        });
        let adapter = adapter.transpose()?;
        let Tracer {
            colour,
            albedo,
            normal,
            ..
        } = &tracer;
        let copies = Copies::new(host, [colour, albedo, normal, &in_frame.texture]);
        let stage = Self {
            scene,
            network: in_frame,
            adapter,
            copies,
            tracer,
            settings: TileSettings {
                window: [0, 0, width, height],
                seed: args.seed,
                samples: args.reference,
                frames: 0,
            },
            next: 0,
        };
        println!("on {}", host.engine().describe());
        let (count, bytes) = (network.parameters(), stage.bytes());
        println!("network of {count} parameters; {bytes} bytes on the device");
        Ok(stage)
    }

    /// Bytes of all its buffers and textures on the device.
    pub fn bytes(&self) -> u64 {
        let adapter = self.adapter.as_ref().map_or(0, Adapter::bytes);
        self.network.bytes() + self.tracer.bytes() + self.copies.bytes() + adapter
    }

    /// The converged picture, of as many samples as the command line says.
    ///
    /// # Errors
    /// What the device says.
    pub fn reference(&mut self, host: &Host) -> Outcome<Picture> {
        converge(host, &mut self.tracer, &self.scene, &self.settings)
    }

    /// Records the next frame: it is traced and denoised, and the network `adapts` as far as the
    /// budget goes. Nothing is submitted. `restart` begins the mean of the tracer anew.
    ///
    /// # Errors
    /// What the device says.
    pub fn record(&mut self, host: &Host, restart: bool, adapts: bool) -> Outcome<Recorded> {
        let (begun, submissions) = (Instant::now(), host.submissions());
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut encoder = host.device.create_command_encoder(&Default::default());
        let mut shot = noisy(&self.settings, number);
        shot.restart = restart;
        self.tracer.record(&mut encoder, &self.scene, &shot);
        self.network.record(&mut encoder)?;
        if let Some(adapter) = self.adapter.as_mut().filter(|_| adapts) {
            adapter.record(host, &mut encoder, &self.scene)?;
        }
        Ok(Recorded {
            encoder,
            number,
            begun,
            submissions,
            adapts,
        })
    }

    /// Submits a frame, behind what `others` hold, and waits for it.
    ///
    /// # Errors
    /// What the device says.
    pub fn submit(
        &mut self,
        host: &Host,
        frame: Recorded,
        others: Vec<wgpu::CommandBuffer>,
    ) -> Outcome<Frame> {
        let buffers = others.into_iter().chain([frame.encoder.finish()]);
        host.submit(buffers);
        host.poll()?;
        let milliseconds = frame.begun.elapsed().as_secs_f64() * 1e3;
        if let Some(adapter) = self.adapter.as_mut().filter(|_| frame.adapts) {
            adapter.drawn(host, milliseconds)?;
        }
        Ok(Frame {
            number: frame.number,
            milliseconds,
            submissions: host.submissions() - frame.submissions,
        })
    }

    /// Draws the next frame, with copies of what it leaves in the textures, in one submission:
    /// colour, albedo and normals as they were traced, and the colour as the network makes it.
    ///
    /// # Errors
    /// What the device says.
    pub fn draw(&mut self, host: &Host, adapts: bool) -> Outcome<(Frame, [Picture; 4])> {
        let mut frame = self.record(host, true, adapts)?;
        self.copies.record(&mut frame.encoder);
        let mut frame = self.submit(host, frame, Vec::new())?;
        let before = host.submissions();
        let pictures = self.copies.pictures(host)?;
        frame.submissions += host.submissions() - before;
        Ok((frame, pictures))
    }
}
