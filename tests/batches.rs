//! Batches, dropout, losses and the accuracy counter in sessions: whole epochs, rows that do not
//! count, what is not a number.

use striate::autodiff::gradients;
use striate::error::Result;
use striate::gpu::{Engine, GpuOptions};
use striate::graph::{Graph, Init, StateKind, Value};
use striate::ops::{CrossEntropyLoss, Reduction};
use striate::session::Session;
use striate::shape::Type;
use striate::store::Store;
use striate::tensor::Tensor;
use striate_cases::devices::gpus;

/// The CPU reference and every adapter found.
fn engines() -> Vec<Engine> {
    let gpus = gpus(&GpuOptions::default()).into_iter().map(Engine::from);
    std::iter::once(Engine::cpu()).chain(gpus).collect()
}

fn constant_f32(g: &mut Graph, shape: &[usize], data: &[f32]) -> Value {
    g.constant(Tensor::f32(shape, data.to_vec()).unwrap())
        .unwrap()
}

fn constant_u32(g: &mut Graph, data: &[u32]) -> Value {
    g.constant(Tensor::u32([data.len()], data.to_vec()).unwrap())
        .unwrap()
}

/// Runs a graph once and reads floats.
fn once(engine: &Engine, g: &Graph, value: Value) -> Vec<f32> {
    let store = Store::new(engine, &[g], 0).unwrap();
    let mut session = Session::new(&store, g, &[value]).unwrap();
    session.poison().unwrap();
    session.run(1).unwrap();
    session.read(value).unwrap().as_f32().unwrap().to_vec()
}

#[test]
fn an_epoch_shows_every_row_once() {
    const ROWS: usize = 67;
    const BATCH: usize = 16;
    let steps = ROWS.div_ceil(BATCH);
    for shuffle in [false, true] {
        let mut orders = Vec::new();
        for engine in engines() {
            let mut g = Graph::new();
            let data: Vec<u8> = (0..ROWS * 3).map(|i| (i / 3 + i % 3) as u8).collect();
            let data = g.constant(Tensor::u8([ROWS, 3], data).unwrap()).unwrap();
            let labels: Vec<u32> = (0..ROWS as u32).map(|i| i * 10).collect();
            let labels = constant_u32(&mut g, &labels);
            let clock = g.clock().unwrap();
            let (indices, valid) = g.shuffled_batch(clock, ROWS, BATCH, shuffle).unwrap();
            let x = g.gather_rows(data, indices, valid, 1.0, 0.0).unwrap();
            let y = g.gather_labels(labels, indices, valid).unwrap();
            let next = g.advance(clock).unwrap();
            g.assign(clock, next).unwrap();
            let store = Store::new(&engine, &[&g], 11).unwrap();
            let mut session = Session::new(&store, &g, &[indices, valid, x, y]).unwrap();
            let mut order = Vec::new();
            for step in 0..2 * steps {
                session.run(1).unwrap();
                let read = |value| session.read(value).unwrap();
                let valid = read(valid).as_u32().unwrap()[0] as usize;
                let last = step % steps == steps - 1;
                assert_eq!(valid, if last { ROWS % BATCH } else { BATCH });
                let indices = read(indices).as_u32().unwrap().to_vec();
                assert!(indices[valid..].iter().all(|&i| i == 0));
                for (row, &index) in indices.iter().enumerate() {
                    let shown = if row < valid { index } else { 0 };
                    let x = read(x).as_f32().unwrap()[3 * row..3 * row + 3].to_vec();
                    let bytes = if row < valid {
                        [0.0, 1.0, 2.0]
                    } else {
                        [0.0; 3]
                    };
                    assert_eq!(x, bytes.map(|b| b + shown as f32), "{engine:?}");
                    assert_eq!(read(y).as_u32().unwrap()[row], shown * 10);
                }
                order.extend_from_slice(&indices[..valid]);
            }
            for epoch in order.chunks(ROWS) {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                assert!(sorted.iter().copied().eq(0..ROWS as u32));
                assert_eq!(shuffle, sorted != epoch);
            }
            assert_eq!(shuffle, order[..ROWS] != order[ROWS..]);
            orders.push(order);
        }
        assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn dropout_keeps_its_share_and_its_mask() {
    const COUNT: usize = 40_000;
    for engine in engines() {
        let mut g = Graph::new();
        let clock = g.clock().unwrap();
        let ones = vec![1.0; COUNT];
        let x = g
            .state(
                "x",
                Type::f32([COUNT]),
                StateKind::Parameter,
                Init::Constant(1.0),
                None,
            )
            .unwrap();
        let a = g.dropout(x, 0.25, clock).unwrap();
        let b = g.dropout(x, 0.25, clock).unwrap();
        let loss = g.sum(a, &[0], false).unwrap();
        let dx = gradients(&mut g, loss, &[x]).unwrap()[0];
        let next = g.advance(clock).unwrap();
        g.assign(clock, next).unwrap();
        let store = Store::new(&engine, &[&g], 5).unwrap();
        let mut session = Session::new(&store, &g, &[a, b, dx]).unwrap();
        let mut run = || -> Result<[Vec<f32>; 3]> {
            session.run(1)?;
            let read = |value| Ok(session.read(value)?.as_f32()?.to_vec());
            Ok([read(a)?, read(b)?, read(dx)?])
        };
        let [first, other, dx] = run().unwrap();
        let [second, _, _] = run().unwrap();
        assert_ne!(first, ones);
        assert_eq!(first, dx, "the gradient has the mask of its forward op");
        assert_ne!(first, other, "each op has its own mask");
        assert_ne!(first, second, "each step has its own mask");
        let kept = first.iter().filter(|&&y| y == 1.0 / 0.75).count();
        let zeros = first.iter().filter(|&&y| y == 0.0).count();
        assert_eq!(kept + zeros, COUNT);
        // Five standard deviations of a binomial count.
        let deviation = 5.0 * (COUNT as f64 * 0.25 * 0.75).sqrt();
        assert!((kept as f64 - 0.75 * COUNT as f64).abs() < deviation);
    }
}

#[test]
fn dropout2d_drops_whole_maps() {
    for engine in engines() {
        let mut g = Graph::new();
        let clock = g.clock().unwrap();
        let x = g.fill([16, 8, 3, 5], 1.0).unwrap();
        let y = g.dropout2d(x, 0.5, clock).unwrap();
        let y = once(&engine, &g, y);
        let maps: Vec<&[f32]> = y.chunks(15).collect();
        assert!(maps.iter().all(|map| map.iter().all(|&v| v == map[0])));
        let dropped = maps.iter().filter(|map| map[0] == 0.0).count();
        assert!((30..98).contains(&dropped), "{dropped} of 128");
        assert!(y.iter().all(|&v| v == 0.0 || v == 2.0));
    }
}

#[test]
fn counting_breaks_ties_low_and_refuses_nan() {
    for engine in engines() {
        let nan = f32::NAN;
        #[rustfmt::skip]
        let rows = [
            // Right, wrong, tie won by the lower class, tie lost, NaN in the label's class, NaN
            // elsewhere, no such class, all -inf.
            ([1.0, 2.0, 0.0], 1), ([1.0, 2.0, 0.0], 0), ([3.0, 3.0, 1.0], 0), ([3.0, 3.0, 1.0], 1),
            ([nan, 2.0, 1.0], 0), ([nan, 2.0, 1.0], 1), ([1.0, 2.0, 0.0], 3),
            ([f32::NEG_INFINITY; 3], 0),
            // Beyond valid.
            ([1.0, 0.0, 0.0], 0),
        ];
        // Short rows have one invocation each, long ones a workgroup.
        for columns in [3, 100] {
            let mut g = Graph::new();
            let logits: Vec<f32> = rows
                .iter()
                .flat_map(|(row, _)| {
                    let rest = std::iter::repeat(f32::NEG_INFINITY);
                    row.iter().copied().chain(rest).take(columns)
                })
                .collect();
            let labels = rows.map(|(_, label)| if label == 3 { columns as u32 } else { label });
            let logits = constant_f32(&mut g, &[rows.len(), columns], &logits);
            let labels = constant_u32(&mut g, &labels);
            let valid = constant_u32(&mut g, &[8]);
            let ty = Type::u32([2]);
            let counter = g
                .state("counter", ty, StateKind::Metric, Init::Constant(0.0), None)
                .unwrap();
            let new = g.count_correct(logits, labels, valid, counter).unwrap();
            g.assign(counter, new).unwrap();
            let store = Store::new(&engine, &[&g], 0).unwrap();
            let mut session = Session::new(&store, &g, &[]).unwrap();
            session.run(3).unwrap();
            let counter = store.get("counter").unwrap();
            assert_eq!(counter.as_u32().unwrap(), [9, 24], "{engine:?} {columns}");
        }
    }
}

#[test]
fn a_label_beyond_the_classes_makes_its_row_nan() {
    for engine in engines() {
        for (columns, label) in [(2, 2), (2, u32::MAX), (100, 100)] {
            let mut g = Graph::new();
            let logits = constant_f32(&mut g, &[3, columns], &vec![0.5; 3 * columns]);
            let logits = g.scale(logits, 1.0).unwrap();
            let labels = constant_u32(&mut g, &[1, label, label]);
            let valid = constant_u32(&mut g, &[2]);
            let loss = g
                .cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(valid))
                .unwrap();
            let dlogits = gradients(&mut g, loss, &[logits]).unwrap()[0];
            assert!(once(&engine, &g, loss)[0].is_nan(), "{engine:?}");
            let dlogits = once(&engine, &g, dlogits);
            let rows: Vec<&[f32]> = dlogits.chunks(columns).collect();
            assert!(rows[0].iter().all(|d| d.is_finite()), "{engine:?}");
            assert!(rows[1].iter().all(|d| d.is_nan()), "{engine:?}");
            assert!(rows[2].iter().all(|&d| d == 0.0), "{engine:?}");
        }
    }
}

#[test]
fn cross_entropy_survives_large_logits() {
    for engine in engines() {
        let mut g = Graph::new();
        let data = [1e4, -1e4, 0.0, -1e30, 1e30, 1e30];
        let logits = constant_f32(&mut g, &[2, 3], &data);
        let logits = g.scale(logits, 1.0).unwrap();
        let labels = constant_u32(&mut g, &[0, 1]);
        let valid = constant_u32(&mut g, &[2]);
        let loss = g
            .cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(valid))
            .unwrap();
        let dlogits = gradients(&mut g, loss, &[logits]).unwrap()[0];
        let loss = once(&engine, &g, loss)[0];
        assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-5, "{engine:?} {loss}");
        let want = [0.0, 0.0, 0.0, 0.0, -0.25, 0.25];
        for (d, want) in once(&engine, &g, dlogits).into_iter().zip(want) {
            assert!((d - want).abs() < 1e-6, "{engine:?} {d} {want}");
        }
    }
}

#[test]
fn refusals_name_the_numbers() {
    let mut g = Graph::new();
    let x = g.input("x", Type::f32([4, 3])).unwrap();
    let bytes = g.input("bytes", Type::u8([4, 3])).unwrap();
    let labels = g.input("labels", Type::u32([5])).unwrap();
    let valid = g.input("valid", Type::u32([1])).unwrap();
    let clock = g.clock().unwrap();
    let scalar = g.fill([], 1.0).unwrap();
    let refused = |result: Result<Value>, message: &str| {
        assert_eq!(result.unwrap_err().to_string(), message);
    };
    refused(
        g.cross_entropy_with(x, labels, CrossEntropyLoss::new().valid(valid)),
        "cross_entropy: target is u32 [5], u32 [4] is needed",
    );
    refused(
        g.cross_entropy_with(scalar, labels, CrossEntropyLoss::new().valid(valid)),
        "cross_entropy: logits [] must have 2 axes or more, [batch, classes, ...]",
    );
    refused(g.softmax(scalar, 0), "softmax: [] has no axis 0");
    refused(
        g.dropout(x, 1.0, clock),
        "dropout: p 1 must be at least 0 and below 1",
    );
    refused(
        g.dropout(x, f32::NAN, clock),
        "dropout: p NaN must be at least 0 and below 1",
    );
    refused(
        g.dropout(x, 0.5, valid),
        "dropout: clock is u32 [1], u32 [4] is needed",
    );
    refused(
        g.dropout2d(x, 0.5, clock),
        "dropout2d: x [4, 3] must have at least 3 axes, [n, c, ...]",
    );
    refused(
        g.shuffled_batch(clock, 0, 3, true)
            .map(|(indices, _)| indices),
        "shuffled_batch: count 0 must be at least 1 and below 2^31",
    );
    refused(
        g.gather_rows(labels, labels, valid, 1.0, 0.0),
        "gather_rows: data is u32 [5], u8 or f32 is needed",
    );
    refused(
        g.gather_labels(labels, bytes, valid),
        "gather_labels: indices [4, 3] must have 1 axis, [batch]",
    );
    refused(
        g.permute(x, &[0, 0]),
        "permute: axis 0 of [4, 3] is named twice",
    );
    refused(
        g.transpose(labels),
        "transpose: x [5] must have 2 axes; permute takes any number",
    );
    refused(
        g.mse_loss(x, scalar, Reduction::Mean),
        "mse_loss: target is f32 [], f32 [4, 3] is needed",
    );
}

/// Which ops take batches of which fewer rows may be valid.
mod filler {
    use striate::autodiff::gradients;
    use striate::error::{ErrorKind, Result};
    use striate::graph::{Graph, Init, Node, Op, Value};
    use striate::kernel::{Caps, Io, Lowering};
    use striate::ops::{Batches, CrossEntropyLoss, Reduction};
    use striate::shape::{PaddingMode, Type};
    use striate::tensor::{Array, Tensor};

    /// Where the number of valid rows comes from.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Valid {
        Padded,
        Full,
        Rows,
        Host,
        Constant(u32),
    }

    const ROWS: usize = 6;

    /// The gradient of a parameter through `head`, which makes a loss from a batch [6, 6, 2, 3]
    /// times the parameter, labels [6] and the number of valid rows.
    fn train(
        valid: Valid,
        head: impl Fn(&mut Graph, Value, Value, Value) -> Result<Value>,
    ) -> Result<()> {
        let mut g = Graph::new();
        let clock = g.clock()?;
        let count = if valid == Valid::Full { 12 } else { 13 };
        let data = g.constant(Tensor::u8([count, ROWS, 2, 3], vec![1; count * ROWS * 6])?)?;
        let labels = g.constant(Tensor::u32([count], vec![0; count])?)?;
        let batches = Batches {
            count,
            batch: ROWS,
            shuffle: true,
            drop_last: false,
        };
        let (indices, meant) = match valid {
            Valid::Rows => g.batch_rows(clock, batches, ROWS)?,
            _ => g.shuffled_batch(clock, count, ROWS, true)?,
        };
        let meant = match valid {
            Valid::Host => g.input("valid", Type::u32([1]))?,
            Valid::Constant(rows) => g.constant(Tensor::u32([1], vec![rows])?)?,
            _ => meant,
        };
        let x = g.gather_rows(data, indices, meant, 1.0, 0.0)?;
        let labels = g.gather_labels(labels, indices, meant)?;
        let scale = g.parameter("scale", [ROWS, 2, 3], Init::Constant(1.0))?;
        let x = g.mul(x, scale)?;
        let loss = head(&mut g, x, labels, meant)?;
        gradients(&mut g, loss, &[scale]).map(|_| ())
    }

    /// One value of each row, `[6]`, and what it is laid across, `[6, 6]`.
    fn across(g: &mut Graph, x: Value) -> Result<(Value, Value)> {
        Ok((g.mean(x, &[1, 2, 3], false)?, g.fill([ROWS, ROWS], 0.5)?))
    }

    /// An op from outside that says nothing of rows.
    #[derive(Debug)]
    struct Silent;

    /// One that says that it keeps them apart.
    #[derive(Debug)]
    struct Apart;

    impl Op for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }

        fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
            Ok(vec![inputs[0].clone()])
        }

        fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
            vec![inputs[0].clone()]
        }

        fn vjp(&self, _: &mut Graph, _: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
            Ok(vec![Some(dy[0])])
        }

        fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
            Ok(())
        }
    }

    impl Op for Apart {
        fn name(&self) -> &'static str {
            "apart"
        }

        fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
            Silent.infer(inputs)
        }

        fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
            Silent.eval(inputs)
        }

        fn vjp(&self, g: &mut Graph, at: &Node, dy: &[Value]) -> Result<Vec<Option<Value>>> {
            Silent.vjp(g, at, dy)
        }

        fn mixes_rows(&self, _: usize) -> bool {
            false
        }

        fn lower(&self, _: &Io, _: &Caps, _: &mut Lowering) -> Result<()> {
            Ok(())
        }
    }

    /// The mean loss of logits over the valid rows.
    fn classify(g: &mut Graph, x: Value, labels: Value, valid: Value) -> Result<Value> {
        let logits = g.reshape(x, [ROWS, 36])?;
        g.cross_entropy_with(logits, labels, CrossEntropyLoss::new().valid(valid))
    }

    #[test]
    fn ops_that_mix_rows_refuse_filler() {
        type Mix = fn(&mut Graph, Value) -> Result<Value>;
        // All of them keep the shape, or the extent of axis 0 by chance.
        let mixes: [(&str, Mix); 18] = [
            ("norm_statistics", |g, x| {
                Ok(g.batch_norm_train(x, None, None, 1e-5)?.0)
            }),
            ("softmax", |g, x| g.softmax(x, 0)),
            ("log_softmax", |g, x| g.log_softmax(x, 0)),
            ("sum", |g, x| g.mean(x, &[0], true)),
            ("sum", |g, x| g.sum(x, &[0], false)),
            ("max", |g, x| Ok(g.max(x, 0, false)?.0)),
            ("sum", |g, x| g.var(x, &[0], 1, false)),
            ("permute", |g, x| g.permute(x, &[1, 0, 2, 3])),
            ("mse_loss", |g, x| g.mse_loss(x, x, Reduction::Mean)),
            ("slice", |g, x| g.flip(x, &[0])),
            ("pad", |g, x| {
                g.pad(x, &[0, 0, 0, 0, 0, 0, 1, -1], PaddingMode::Zeros)
            }),
            ("norm_statistics", |g, x| {
                g.layer_norm(x, 4, None, None, 1e-5)
            }),
            // A value of each row, laid along the columns.
            ("add", |g, x| {
                let (row, square) = across(g, x)?;
                g.add(row, square)
            }),
            ("lt", |g, x| {
                let (row, square) = across(g, x)?;
                let less = g.lt(row, square)?;
                g.select(less, square, square)
            }),
            ("select", |g, x| {
                let (row, square) = across(g, x)?;
                let mask = g.lt(square, square)?;
                g.select(mask, row, row)
            }),
            ("expand", |g, x| {
                let (row, _) = across(g, x)?;
                g.expand(row, [ROWS, ROWS])
            }),
            ("matmul", |g, x| {
                let (row, square) = across(g, x)?;
                g.linear(square, square, Some(row))
            }),
            ("silent", |g, x| Ok(g.apply(Silent, &[x])?[0])),
        ];
        for (op, mix) in mixes {
            let head = |g: &mut Graph, x: Value, labels: Value, valid: Value| {
                let mixed = mix(g, x)?;
                let mean = g.mean(
                    mixed,
                    &(0..g.shape(mixed)?.len()).collect::<Vec<_>>(),
                    false,
                )?;
                let x = g.mul(x, mean)?;
                classify(g, x, labels, valid)
            };
            for valid in [Valid::Padded, Valid::Host, Valid::Constant(5)] {
                let error = train(valid, head).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Graph, "{error}");
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("{op}: it mixes 6 rows")),
                    "{valid:?}: {text}"
                );
            }
            for valid in [Valid::Full, Valid::Rows, Valid::Constant(6)] {
                train(valid, head).unwrap_or_else(|e| panic!("{op}, {valid:?}: {e}"));
            }
        }
    }

    /// Statistics are a pair then: as many rows as the batch, by chance.
    #[test]
    fn norms_over_all_axes_refuse_filler_in_batches_of_two() {
        for mean in [true, false] {
            let mut g = Graph::new();
            let clock = g.clock().unwrap();
            let data = Tensor::u8([5, 3], vec![1; 15]).unwrap();
            let data = g.constant(data).unwrap();
            let (indices, valid) = g.shuffled_batch(clock, 5, 2, true).unwrap();
            let x = g.gather_rows(data, indices, valid, 1.0, 0.0).unwrap();
            let scale = g.parameter("scale", [3], Init::Constant(1.0)).unwrap();
            let x = g.mul(x, scale).unwrap();
            let y = match mean {
                true => g.layer_norm(x, 2, None, None, 1e-5).unwrap(),
                false => g.rms_norm(x, 2, None, 1e-5).unwrap(),
            };
            let loss = g.constant(Tensor::u32([5], vec![0; 5]).unwrap()).unwrap();
            let labels = g.gather_labels(loss, indices, valid).unwrap();
            let loss = g
                .cross_entropy_with(y, labels, CrossEntropyLoss::new().valid(valid))
                .unwrap();
            let error = gradients(&mut g, loss, &[scale]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Graph, "{error}");
            assert!(error.to_string().contains("it mixes 2 rows"), "{error}");
        }
    }

    #[test]
    fn ops_that_keep_rows_apart_take_filler() {
        type Keep = fn(&mut Graph, Value) -> Result<Value>;
        let keeps: [Keep; 18] = [
            |g, x| g.relu(x),
            |g, x| g.permute(x, &[0, 2, 3, 1]),
            |g, x| g.instance_norm(x, None, None, 1e-5),
            |g, x| g.layer_norm(x, 2, None, None, 1e-5),
            |g, x| g.group_norm(x, 3, None, None, 1e-5),
            |g, x| g.softmax(x, 1),
            |g, x| {
                let statistic = g.fill([ROWS], 1.0)?;
                g.batch_norm(x, [statistic; 2], None, None, 1e-5)
            },
            |g, x| {
                let mean = g.mean(x, &[2, 3], true)?;
                g.sub(x, mean)
            },
            |g, x| {
                let weight = g.fill([6, 6], 0.5)?;
                let x = g.reshape(x, [ROWS * 6, 6])?;
                g.linear(x, weight, None)
            },
            |g, x| g.flip(x, &[1, 3]),
            |g, x| {
                let parts = g.split(x, &[2, 4], 1)?;
                g.concat(&[parts[1], parts[0]], 1)
            },
            |g, x| g.pad(x, &[1, -1], PaddingMode::Zeros),
            |g, x| {
                let clock = g.clock()?;
                g.dropout(x, 0.5, clock)
            },
            |g, x| {
                let half = g.fill([], 0.5)?;
                let less = g.lt(x, half)?;
                g.select(less, x, half)
            },
            |g, x| {
                let row = g.mean(x, &[1, 2, 3], true)?;
                g.expand(row, [ROWS, 6, 2, 3])
            },
            |g, x| {
                let loss = g.mse_loss(x, x, Reduction::None)?;
                g.add(x, loss)
            },
            |g, x| g.rms_norm(x, 3, None, 1e-5),
            |g, x| Ok(g.apply(Apart, &[x])?[0]),
        ];
        for (number, keep) in keeps.into_iter().enumerate() {
            for valid in [Valid::Padded, Valid::Host, Valid::Rows] {
                let head = |g: &mut Graph, x: Value, labels: Value, valid: Value| {
                    let x = keep(g, x)?;
                    classify(g, x, labels, valid)
                };
                train(valid, head).unwrap_or_else(|e| panic!("{number}, {valid:?}: {e}"));
            }
        }
    }
}
