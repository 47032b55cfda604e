//! The page's training and reading, on this machine's adapters: frames are slices of whole steps.

use striate::gpu::GpuOptions;
use striate::interop::ModelCard;
use striate::prelude::*;
use striate::train::Normalise;
use striate_cases::devices;
use striate_web::digits::{Drawing, TEST, TRAIN};
use striate_web::reading::{FILTERS, Reading};
use striate_web::training::{SEED, Training, step};
use striate_web::{SIDE, network, normalise, normalise_of};

fn quiet(_: striate::gpu::Progress<'_>) {}

fn parameters(training: &Training) -> Vec<(String, Tensor)> {
    let names: Vec<&str> = training.store().names_of(StateKind::Parameter).collect();
    training.store().snapshot(&names).unwrap()
}

/// However the budget cuts them, steps have the losses and the bits of whole ones; what is told
/// adds up; a test comes between two steps; and a snapshot goes on to the bit.
#[test]
fn frames_make_the_steps_of_a_session() {
    let data = Drawing::default().finish().unwrap();
    assert_eq!((data.train.count, data.test.count), (TRAIN, TEST));
    let normalise = normalise().unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let engine = Engine::from(gpu.clone());
        let (graph, loss) = step(&data.train, &normalise).unwrap();
        let store = Store::new(&engine, &[&graph], SEED).unwrap();
        let mut session = Session::new(&store, &graph, &[loss]).unwrap();
        let mut losses = Vec::new();
        for _ in 0..4 {
            session.run(1).unwrap();
            losses.push(f64::from(session.read(loss).unwrap().item().unwrap()));
        }

        let new = || pollster::block_on(Training::new(&engine, &data, &normalise, quiet));
        let mut training = new().unwrap();
        let (mut points, mut answers, mut frames, mut kept) = (Vec::new(), Vec::new(), 0, None);
        training.request_test();
        while points.len() < 4 {
            if training.steps() == 2 && kept.is_none() && training.is_idle() {
                let states = training.store().snapshot(&training.state_names()).unwrap();
                kept = Some(states);
            }
            // The first step one dispatch at a time, later ones as they fit.
            let budget = if training.steps() == 0 { 0.0 } else { 5.0 };
            let frame = training.frame(budget, 1).unwrap();
            gpu.wait().unwrap();
            frames += 1;
            if let Some(told) = frame.told {
                points.push(pollster::block_on(told.arrive()).unwrap());
            }
            if let Some(tested) = frame.tested {
                answers.push(pollster::block_on(tested.arrive()).unwrap());
            }
            assert!(frames < 2000, "frames do not come to an end");
        }
        let told: Vec<f64> = points.iter().map(|point| point.loss).collect();
        assert_eq!(told, losses, "{}", engine.describe());
        let steps: Vec<u64> = points.iter().map(|point| point.step).collect();
        assert_eq!(steps, [1, 2, 3, 4]);
        assert!(points.iter().all(|point| point.images == 64));
        let [tested] = &answers[..] else {
            panic!("{} tests", answers.len());
        };
        assert_eq!((tested.step, tested.images), (0, TEST));
        assert!(tested.wrong.len() > TEST / 2);
        assert!(frames > 20, "{frames} frames");
        let whole: Vec<&str> = store.names_of(StateKind::Parameter).collect();
        assert_eq!(parameters(&training), store.snapshot(&whole).unwrap());

        let mut again = new().unwrap();
        again.restore(&kept.unwrap()).unwrap();
        assert_eq!(again.steps(), 2);
        while again.steps() < 4 {
            again.frame(5.0, 1).unwrap();
            gpu.wait().unwrap();
        }
        assert_eq!(parameters(&again), parameters(&training));
    }
}

/// With no step to begin a frame finishes what has begun, and then does nothing.
#[test]
fn a_pause_ends_between_two_steps() {
    let data = Drawing::default().finish().unwrap();
    let normalise = normalise().unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let engine = Engine::from(gpu.clone());
        let training = Training::new(&engine, &data, &normalise, quiet);
        let mut training = pollster::block_on(training).unwrap();
        assert!(training.is_idle());
        assert!(training.frame(5.0, 0).unwrap().expected.is_none());
        training.frame(0.0, 1).unwrap();
        assert!(!training.is_idle());
        let mut frames = 0;
        while !training.is_idle() {
            training.frame(0.0, 0).unwrap();
            gpu.wait().unwrap();
            frames += 1;
        }
        assert!(frames > 5);
        assert_eq!(training.steps(), 1);
    }
}

/// A file of the page's, one without a card, and one of another network.
#[test]
fn files_are_read_as_they_say() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([1, 1, SIDE, SIDE])).unwrap();
    let logits = network().build(&mut Build::eval(&mut g), x).unwrap();
    let shares = g.softmax(logits, 1).unwrap();
    let store = Store::new(&Engine::cpu(), &[&g], 5).unwrap();
    let mut session = Session::new(&store, &g, &[shares]).unwrap();
    let names: Vec<&str> = store.names().collect();
    let states = store.snapshot(&names).unwrap();
    let own = Normalise::given(&[0.5], &[0.25]).unwrap();
    let file = ModelCard::new(&network(), &own)
        .file(states.clone())
        .unwrap();
    assert_eq!(normalise_of(&file).unwrap(), own);
    let plain = striate::interop::safetensors::encode(&states).unwrap();
    assert_eq!(normalise_of(&plain).unwrap(), normalise().unwrap());
    let other = striate::models::lenet5(7);
    let other = ModelCard::new(&other, &own).file(states.clone()).unwrap();
    let error = normalise_of(&other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
    assert_eq!(
        normalise_of(b"no file").unwrap_err().kind(),
        ErrorKind::Data
    );

    let pixels = striate::data::digits(1, 4).unwrap().images;
    let scaled: Vec<f32> = pixels
        .iter()
        .map(|&pixel| (f32::from(pixel) / 255.0 - 0.5) / 0.25)
        .collect();
    session
        .write(x, &Tensor::f32([1, 1, SIDE, SIDE], scaled).unwrap())
        .unwrap();
    session.run(1).unwrap();
    let want = session.read(shares).unwrap();
    for gpu in devices::gpus(&GpuOptions::default()) {
        let engine = Engine::from(gpu.clone());
        let reading = Reading::new(&engine, &file, quiet);
        let mut reading = pollster::block_on(reading).unwrap();
        let sizes: Vec<[usize; 3]> = reading.layers().iter().map(|layer| layer.size).collect();
        let wanted = [
            [6, 28, 28],
            [6, 14, 14],
            [16, 10, 10],
            [16, 5, 5],
            [120, 1, 1],
            [84, 1, 1],
            [10, 1, 1],
        ];
        assert_eq!(sizes, wanted);
        let reads = reading.read(&pixels).unwrap();
        let mut values = Vec::new();
        for (read, layer) in reads.into_iter().zip(reading.layers()) {
            let value = read.wait().unwrap();
            assert_eq!(value.ty().count(), layer.size.iter().product::<usize>());
            values.push(value);
        }
        let got = values.last().unwrap().as_f32().unwrap();
        for (got, want) in got.iter().zip(want.as_f32().unwrap()) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
        // What a relu lets through.
        assert!(values[0].as_f32().unwrap().iter().all(|x| *x >= 0.0));
        let filters = reading.filters().wait().unwrap();
        let weight = states.iter().find(|(name, _)| name == FILTERS);
        assert_eq!(&filters, &weight.unwrap().1);
        assert_eq!(
            reading.read(&pixels[1..]).unwrap_err().kind(),
            ErrorKind::Shape
        );
        assert!(reading.load(&other).is_err());
    }
}
