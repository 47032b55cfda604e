//! The network of a page, on this machine's adapters.

use striate::data::{Dataset, Split, digits};
use striate::error::ErrorKind;
use striate::gpu::GpuOptions;
use striate::models::resnet20;
use striate::prelude::*;
use striate::train::Trainer;
use striate_cases::devices;
use striate_web_embed::Network;

const WEIGHTS: &[u8] = include_bytes!("../../../web/page/lenet5.safetensors");

/// A grey picture as RGBA bytes.
fn rgba(grey: &[u8]) -> Vec<u8> {
    let pixels = grey.iter().flat_map(|&byte| [byte, byte, byte, 255]);
    pixels.collect()
}

/// A network of three channels and another size than its model's own is run and trained on.
#[test]
fn pictures_are_of_the_size_that_the_file_says() {
    let side = 24;
    let set = Dataset::new(
        (0..16 * 3 * side * side)
            .map(|at| (at * 7 % 251) as u8)
            .collect(),
        (0..16).map(|at| at % 2).collect(),
        [3, side, side],
        2,
    )
    .unwrap();
    let data = Split {
        train: set.clone(),
        test: set,
    };
    let model = resnet20(2);
    let engine = Engine::cpu();
    let trainer = Trainer::builder(&engine, &model, &data)
        .epochs(1)
        .batch(8)
        .build()
        .unwrap();
    let name = format!("web-embed-{}.safetensors", std::process::id());
    let path = std::env::temp_dir().join(name);
    trainer.save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let engine = Engine::from(gpu.clone());
        let mut network = gpu.block_on(Network::load(&engine, &file, 0.01)).unwrap();
        assert_eq!(network.card().input, [3, side, side]);
        let picture = |red: u8| [red, 10, 20, 255].repeat(side * side);
        let run = |network: &mut Network, red: u8| {
            let read = network.run(&picture(red)).unwrap();
            gpu.block_on(read).unwrap().as_f32().unwrap().to_vec()
        };
        assert_ne!(run(&mut network, 0), run(&mut network, 250));
        let batch = [picture(0), picture(250)].concat();
        let loss = gpu.block_on(network.train(&batch, &[0, 1])).unwrap();
        assert!(loss.is_finite());
    }
}

/// Digits are read, training lowers the loss of what it trains on, also after another batch size,
/// and a file keeps what was learnt to the bit.
#[test]
fn a_network_runs_learns_and_is_saved() {
    let set = digits(64, 5).unwrap();
    let side = set.height * set.width;
    let pictures: Vec<Vec<u8>> = set.images.chunks_exact(side).map(rgba).collect();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let engine = Engine::from(gpu.clone());
        let load = |file: &[u8]| gpu.block_on(Network::load(&engine, file, 0.001));
        let run = |network: &mut Network, picture: &[u8]| {
            let read = network.run(picture).unwrap();
            gpu.block_on(read).unwrap().as_f32().unwrap().to_vec()
        };
        let mut network = load(WEIGHTS).unwrap();
        let mut right = 0;
        for (picture, &label) in pictures.iter().zip(&set.labels) {
            let shares = run(&mut network, picture);
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            let most = (0..10).fold(
                0,
                |best, at| if shares[at] > shares[best] { at } else { best },
            );
            right += usize::from(most == label as usize);
        }
        assert!(right >= 58, "{right} of 64");

        let batch = pictures[..16].concat();
        let mut losses = Vec::new();
        for _ in 0..8 {
            let loss = gpu
                .block_on(network.train(&batch, &set.labels[..16]))
                .unwrap();
            losses.push(loss);
        }
        let one = gpu
            .block_on(network.train(&pictures[20], &set.labels[20..21]))
            .unwrap();
        assert!(one.is_finite());
        assert!(losses[7] < losses[0], "{losses:?}");

        let file = gpu.block_on(network.save()).unwrap();
        let mut again = load(&file).unwrap();
        assert_eq!(again.card(), network.card());
        assert_eq!(
            run(&mut again, &pictures[0]),
            run(&mut network, &pictures[0])
        );

        let wrong = |network: &mut Network, bytes: &[u8], labels: &[u32]| {
            gpu.block_on(network.train(bytes, labels))
                .unwrap_err()
                .kind()
        };
        assert_eq!(wrong(&mut network, &batch, &[]), ErrorKind::Shape);
        assert_eq!(wrong(&mut network, &pictures[0], &[10]), ErrorKind::Shape);
        assert_eq!(
            wrong(&mut network, &pictures[0][1..], &[1]),
            ErrorKind::Shape
        );
        assert_eq!(network.run(&[1]).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(load(b"words").unwrap_err().kind(), ErrorKind::Data);
    }
}
