//! Tables of measured choices: made on a device, read back, and used in place of the rules.

use striate::kernel::{Body, Choice, Tile, Tuning};
use striate::ops::Conv2d;
use striate::plan::Plan;
use striate::prelude::*;
use striate::store::Store;
use striate::tune::{TuneOptions, tune};
use striate_cases::devices;

/// A convolution and a linear layer.
fn network(g: &mut Graph, batch: usize) -> Result<Value> {
    let x = g.input("x", Type::f32([batch, 3, 8, 8]))?;
    let w = g.input("w", Type::f32([5, 3, 3, 3]))?;
    let v = g.input("v", Type::f32([7, 320]))?;
    let y = g.conv2d(x, w, None, Conv2d::new().padding(1))?;
    let y = g.reshape(y, [batch, 320])?;
    g.linear(y, v, None)
}

fn session(gpu: &Gpu, batch: usize) -> Result<Session> {
    let mut graph = Graph::new();
    let y = network(&mut graph, batch)?;
    let store = Store::new(&Engine::from(gpu.clone()), &[&graph], 1)?;
    Session::new(&store, &graph, &[y])
}

fn plan(session: &Session) -> &Plan {
    session.plan().expect("it runs on a GPU")
}

const CONV: &str = "conv2d 3x8x8 to 5x8x8 k3x3 s1x1 d1x1 p1x1 g1";
const LINEAR: &str = "matmul nt n7 k320";

#[test]
fn every_product_is_measured_and_a_table_takes_the_place_of_the_rules() {
    for gpu in devices::gpus(&GpuOptions::default()) {
        let first = session(&gpu, 8).unwrap();
        let options = TuneOptions {
            rounds: 1,
            seconds: 0.0,
            gain: 0.0,
        };
        let mut measured = Vec::new();
        let table = tune(&first, &options, |product| measured.push(product.clone())).unwrap();
        let names: Vec<&str> = measured.iter().map(|m| m.product.as_str()).collect();
        assert_eq!(names, [CONV, LINEAR]);
        for product in &measured {
            assert!(product.rules.is_finite(), "{product:?}");
            let kept = table.choices.get(&product.product).copied();
            assert_eq!(kept, product.best().map(|(choice, _)| choice));
        }
        assert_eq!(table.to_string().parse::<Tuning>().unwrap(), table);

        // Products of few rows have names of their own.
        let few = session(&gpu, 2).unwrap();
        assert!(
            plan(&few)
                .products
                .contains_key("matmul nt few rows n7 k320")
        );

        // Another batch finds the same products.
        let other = session(&gpu, 5).unwrap();
        assert!(
            plan(&first)
                .products
                .keys()
                .eq(plan(&other).products.keys())
        );

        let choice = |body, tile| Choice { body, tile };
        for (body, tile) in [(Body::Shared, Tile::Small), (Body::Registers, Tile::Medium)] {
            let table = Tuning {
                choices: [(LINEAR.to_owned(), choice(body, Some(tile)))].into(),
                ..table.clone()
            };
            let given = GpuOptions {
                tuning: Some(table.clone().into()),
                ..GpuOptions::default()
            };
            let forced = GpuOptions {
                body: Some(body),
                tile: Some(tile),
                ..GpuOptions::default()
            };
            let steps = |options: &GpuOptions| {
                let session = session(&gpu.with_options(options).unwrap(), 8).unwrap();
                plan(&session).steps.clone()
            };
            let of = |op: &str, options: &GpuOptions| {
                let mut steps = steps(options);
                steps.retain(|step| step.op == op);
                steps
                    .into_iter()
                    .map(|step| (step.kernel, step.constants, step.count))
                    .collect::<Vec<_>>()
            };
            assert_eq!(of("matmul", &given), of("matmul", &forced));
            assert_eq!(of("conv2d", &given), of("conv2d", &GpuOptions::default()));
            // What is forced goes before the table.
            let both = GpuOptions {
                tuning: given.tuning.clone(),
                body: Some(Body::Registers),
                tile: Some(Tile::Large),
                ..GpuOptions::default()
            };
            let large = GpuOptions {
                tuning: None,
                ..both.clone()
            };
            // Two graphs name their values apart; the texts of their plans do not.
            let text = |options: &GpuOptions| {
                let session = session(&gpu.with_options(options).unwrap(), 8).unwrap();
                plan(&session).to_string()
            };
            assert_eq!(text(&both), text(&large));
        }
    }
}

#[test]
fn a_table_of_another_adapter_is_refused() {
    for gpu in devices::gpus(&GpuOptions::default()) {
        let table = Tuning {
            adapter: "Another".to_owned(),
            backend: gpu.info().backend.to_string(),
            choices: Default::default(),
        };
        let options = GpuOptions {
            tuning: Some(table.into()),
            ..GpuOptions::default()
        };
        let error = gpu.with_options(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("Another"), "{error}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for gpu in devices::gpus(&GpuOptions::default()) {
        let session = session(&gpu, 1).unwrap();
        let default = TuneOptions::default();
        for options in [
            TuneOptions {
                rounds: 0,
                ..default
            },
            TuneOptions {
                seconds: f64::NAN,
                ..default
            },
            TuneOptions {
                gain: f64::INFINITY,
                ..default
            },
        ] {
            let error = tune(&session, &options, |_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
        }
    }
}

#[test]
fn the_reference_has_nothing_to_tune() {
    let mut graph = Graph::new();
    let y = network(&mut graph, 1).unwrap();
    let store = Store::new(&Engine::cpu(), &[&graph], 1).unwrap();
    let session = Session::new(&store, &graph, &[y]).unwrap();
    let error = tune(&session, &TuneOptions::default(), |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
