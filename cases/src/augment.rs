//! Augmentation: rows of parameters, what they do to images and masks, mixtures.

use striate::check::{Bound, Case, Draw, Input, below, drawn};
use striate::ops::{AugmentChoice, AugmentRow, AugmentStage, Border, Elastic, Levels};
use striate::shape::{Shape, Type};

use super::{labels, words};

const CLOCK: &[u32] = &[0xffff_fff1, 0x1234_5678, 41, 0];

pub fn augment() -> Vec<Case> {
    let families = [rows(), tables(), pixels(), masks(), mixtures()];
    families.into_iter().flatten().collect()
}

/// A turn about the middle of an image, its sides scaled, then moved.
fn turned(degrees: f64, scale: [f64; 2], by: [f64; 2], [h, w]: [usize; 2]) -> [f64; 6] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let [cx, cy] = [w, h].map(|extent| (extent as f64 - 1.0) / 2.0);
    let [a, b, c, d] = [
        cos / scale[0],
        sin / scale[0],
        -sin / scale[1],
        cos / scale[1],
    ];
    [
        a,
        b,
        cx + by[0] - a * cx - b * cy,
        c,
        d,
        cy + by[1] - c * cx - d * cy,
    ]
}

fn stages() -> [(&'static str, Vec<AugmentStage>); 5] {
    let stage = |choices: Vec<AugmentChoice>| AugmentStage {
        choices,
        alternate: false,
    };
    let row = AugmentRow::default();
    let flip = AugmentRow {
        matrix: [-1.0, 0.0, 31.0, 0.0, 1.0, 0.0],
        ..row
    };
    let shift = AugmentChoice {
        row: AugmentRow {
            matrix: [1.0, 0.0, -2.0, 0.0, 1.0, -2.0],
            border: Border::Reflect,
            ..row
        },
        shift: [5, 5],
        ..AugmentChoice::default()
    };
    let cutout = AugmentChoice {
        row: AugmentRow {
            erase: [-4, -4, 8, 8],
            ..row
        },
        erase_shift: [32, 32],
        ..AugmentChoice::default()
    };
    let turns = (0..15).map(|i| {
        let row = AugmentRow {
            matrix: turned(f64::from(i) * 4.0 - 30.0, [1.1, 0.9], [0.5, -3.0], [32, 32]),
            bilinear: true,
            ..row
        };
        row.into()
    });
    let colours = [
        AugmentRow {
            brightness: 1.4,
            noise: 12.0,
            ..row
        },
        AugmentRow {
            levels: Levels::Equalize,
            contrast: 0.3,
            saturation: 1.7,
            sharpness: 0.1,
            ..row
        },
        AugmentRow {
            posterize: 3,
            solarize: 100,
            fill: 9,
            ..row
        },
    ];
    // Of two borders the last one counts, and one that follows it without a border leaves it.
    let borders = [
        [Border::Reflect, Border::Edge, Border::Fill],
        [Border::Edge, Border::Fill, Border::Reflect],
    ];
    let borders = borders.map(|own| {
        let choices = own.map(|border| AugmentRow { border, ..row });
        stage(choices.map(Into::into).to_vec())
    });
    let flips = AugmentStage {
        choices: vec![row.into(), flip.into()],
        alternate: true,
    };
    [
        ("flip", vec![stage(vec![row.into(), flip.into()])]),
        (
            "airbench",
            vec![flips.clone(), stage(vec![shift]), stage(vec![cutout])],
        ),
        ("turns", vec![stage(turns.collect()), flips]),
        (
            "colours",
            vec![stage(colours.map(Into::into).to_vec()), stage(vec![cutout])],
        ),
        ("borders", borders.to_vec()),
    ]
}

fn rows() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, stages) in stages() {
        // Few rows are smaller than the table; many are cut.
        for n in [1, 7, 1000] {
            for knots in [0, 4] {
                let elastic = (knots > 0).then_some(Elastic { knots, most: 2.5 });
                let stages = stages.clone();
                let case = Case::new(
                    format!("augment_rows/{name}/{n}/{knots} knots"),
                    vec![words(CLOCK), below([n], 50_000)],
                    move |g, x| Ok(vec![g.augment_rows(x[0], x[1], 20, &stages, elastic)?]),
                );
                cases.push(
                    match n < 1000 && n * (24 + 2 * knots * knots) < 8 * 32 * 9 {
                        true => case.whole("augment_rows does not work on parts"),
                        false => case,
                    },
                );
            }
        }
    }
    cases
}

fn given(rows: &[AugmentRow]) -> Input {
    let words: Vec<u32> = rows.iter().flat_map(AugmentRow::words).collect();
    Input {
        ty: Type::u32([rows.len(), 24]),
        draw: Draw::Words(Box::leak(words.into_boxed_slice())),
    }
}

fn bytes(shape: impl Into<Shape>) -> Input {
    drawn(shape, Draw::Between(0.0, 255.0))
}

/// Rows that do one thing each, on images of this size.
fn single(size: [usize; 2]) -> Vec<(&'static str, Vec<AugmentRow>)> {
    let row = AugmentRow::default();
    let [h, w] = size;
    let matrix = |matrix| AugmentRow { matrix, ..row };
    let borders = [Border::Fill, Border::Reflect, Border::Edge];
    let far = borders.map(|border| AugmentRow {
        border,
        fill: 77,
        ..matrix([1.0, 0.0, -7.0, 0.0, 1.0, 40.0])
    });
    let nearest = borders.map(|border| AugmentRow {
        border,
        ..matrix(turned(33.0, [1.2, 0.8], [1.5, -2.0], size))
    });
    let linear = nearest.map(|row| AugmentRow {
        bilinear: true,
        fill: 200,
        ..row
    });
    let flips = [
        matrix([-1.0, 0.0, w as f64 - 1.0, 0.0, 1.0, 0.0]),
        matrix([1.0, 0.0, 0.0, 0.0, -1.0, h as f64 - 1.0]),
        row,
    ];
    let factor = |set: fn(&mut AugmentRow, f64)| {
        [0.0, 0.3, 1.9].map(|factor| {
            let mut changed = row;
            set(&mut changed, factor);
            changed
        })
    };
    let bits = [(0, 256), (5, 128), (8, 0)].map(|(posterize, solarize)| AugmentRow {
        posterize,
        solarize,
        ..row
    });
    let noise = [0.0, 3.0, 60.0].map(|noise| AugmentRow { noise, ..row });
    let erase = [
        [0, 0, 2, 3],
        [-1, -2, 3, 3],
        [w as i32 - 1, h as i32 - 1, 9, 9],
    ];
    let levels = [Levels::Keep, Levels::Autocontrast, Levels::Equalize];
    let levels = levels.map(|levels| AugmentRow { levels, ..row });
    let all = [0.0, 25.0, -140.0].map(|degrees| AugmentRow {
        levels: Levels::Equalize,
        sharpness: 1.5,
        matrix: turned(degrees, [0.9, 1.1], [0.3, 0.7], size),
        bilinear: degrees > 0.0,
        border: Border::Reflect,
        contrast: 1.4,
        saturation: 0.4,
        brightness: 0.8,
        posterize: 6,
        solarize: 200,
        noise: 10.0,
        erase: [1, 1, 2, 2],
        ..row
    });
    let large = [20.0, -20.0, 8.0].map(|factor| AugmentRow {
        sharpness: factor,
        contrast: factor,
        saturation: factor,
        ..row
    });
    let bright = [20.0, 8.5, -20.0].map(|brightness| AugmentRow { brightness, ..row });
    vec![
        ("borders", far.to_vec()),
        ("nearest", nearest.to_vec()),
        ("bilinear", linear.to_vec()),
        ("flips", flips.to_vec()),
        ("sharpness", factor(|row, f| row.sharpness = f).to_vec()),
        ("contrast", factor(|row, f| row.contrast = f).to_vec()),
        ("saturation", factor(|row, f| row.saturation = f).to_vec()),
        ("brightness", factor(|row, f| row.brightness = f).to_vec()),
        ("bits", bits.to_vec()),
        ("noise", noise.to_vec()),
        (
            "erase",
            erase.map(|erase| AugmentRow { erase, ..row }).to_vec(),
        ),
        ("levels", levels.to_vec()),
        ("all", all.to_vec()),
        ("large factors", large.to_vec()),
        ("large brightness", bright.to_vec()),
    ]
}

fn tables() -> Vec<Case> {
    let row = AugmentRow::default();
    let levels = [Levels::Autocontrast, Levels::Equalize, Levels::Keep];
    let levels = levels.map(|levels| AugmentRow {
        levels,
        contrast: 0.5,
        ..row
    });
    let dull = drawn([3, 1, 9, 7], Draw::Between(99.6, 131.3));
    let flat = drawn([3, 3, 5, 4], Draw::Between(42.0, 42.0));
    let mut cases = Vec::new();
    for (name, images, rows) in [
        ("", bytes([3, 3, 33, 20]), given(&levels)),
        ("", bytes([3, 5, 1, 1]), given(&levels)),
        ("", bytes([3, 1, 28, 28]), given(&[row; 3])),
        ("/dull", dull, given(&levels)),
        ("/flat", flat, given(&levels)),
        ("/long", bytes([3, 3, 160, 161]), given(&levels)),
        ("/any", bytes([13, 3, 8, 8]), below([13, 24], 3)),
        ("/beyond", beyond([3, 3, 33, 20]), given(&levels)),
    ] {
        let case = Case::new(
            format!("augment_tables/{}{name}", images.ty.shape),
            vec![images, rows],
            |g, x| Ok(vec![g.augment_tables(x[0], x[1])?]),
        );
        // A workgroup counts an image whole.
        cases.push(match name {
            "/long" => case.uncut("an invocation of kernel augment_tables takes"),
            _ => case,
        });
    }
    let special = drawn([3, 3, 33, 20], Draw::Special);
    cases.push(Case::new(
        "augment_tables/[3, 3, 33, 20]/special",
        vec![special, given(&levels)],
        |g, x| {
            let images = g.scale(x[0], FAR)?;
            Ok(vec![g.augment_tables(images, x[1])?])
        },
    ));
    cases
}

/// Numbers on both sides of the bytes.
fn beyond(shape: impl Into<Shape>) -> Input {
    drawn(shape, Draw::Between(-300.0, 600.0))
}

/// A power of two that makes numbers in [-1, 1) reach beyond the bytes, without rounding.
const FAR: f64 = 512.0;

fn pixels() -> Vec<Case> {
    let mut cases = Vec::new();
    // What are no bytes becomes some: the nearest, 0 for NaN.
    for (name, rows) in single([13, 17]) {
        if !["bilinear", "sharpness", "contrast", "all"].contains(&name) {
            continue;
        }
        let shape = [3, 3, 13, 17];
        let leveled = name != "bilinear";
        cases.push(Case::new(
            format!("augment/[3, 3, 13, 17]/{name}/beyond"),
            vec![beyond(shape), given(&rows)],
            |g, x| {
                let tables = g.augment_tables(x[0], x[1])?;
                Ok(vec![g.augment_with(x[0], x[1], tables, &[1.0], &[0.0])?])
            },
        ));
        cases.push(Case::new(
            format!("augment/[3, 3, 13, 17]/{name}/special"),
            vec![drawn(shape, Draw::Special), given(&rows)],
            move |g, x| {
                let images = g.scale(x[0], FAR)?;
                if !leveled {
                    return Ok(vec![g.augment(images, x[1], &[1.0], &[0.0])?]);
                }
                let tables = g.augment_tables(images, x[1])?;
                let made = g.augment_with(images, x[1], tables, &[1.0], &[0.0])?;
                Ok(vec![made])
            },
        ));
    }
    for (shape, size) in [([3, 3, 13, 17], [13, 17]), ([3, 1, 28, 28], [28, 28])] {
        for (name, rows) in single(size) {
            let inputs = vec![bytes(shape), given(&rows)];
            let name = format!("{}/{name}", Shape::from(shape));
            cases.push(Case::new(
                format!("augment/{name}"),
                inputs.clone(),
                |g, x| Ok(vec![g.augment(x[0], x[1], &[1.0], &[0.0])?]),
            ));
            cases.push(Case::new(
                format!("augment/{name}/leveled"),
                inputs.clone(),
                |g, x| {
                    let tables = g.augment_tables(x[0], x[1])?;
                    Ok(vec![g.augment_with(x[0], x[1], tables, &[1.0], &[0.0])?])
                },
            ));
            cases.push(
                Case::new(format!("augment/{name}/normalised"), inputs, |g, x| {
                    let (scale, shift) = (1.0 / (255.0 * 0.3081), -0.1307 / 0.3081);
                    Ok(vec![g.augment(x[0], x[1], &[scale], &[shift])?])
                })
                .inexact()
                // A product and a sum, each of at most about the largest magnitude.
                .bound(Bound::Norm(4.0 * 2f64.powi(-24))),
            );
        }
    }
    // Numbers of channels, each with factors of its own; thin images; a field; any words at all.
    for shape in [
        [7, 2, 5, 4],
        [3, 5, 6, 1],
        [2, 9, 1, 3],
        [0, 3, 4, 4],
        [67, 4, 3, 3],
    ] {
        let [n, c, h, w] = shape;
        let row = AugmentRow {
            matrix: turned(10.0, [1.0, 1.0], [0.5, 0.25], [h, w]),
            bilinear: true,
            border: Border::Reflect,
            noise: 5.0,
            contrast: 0.7,
            ..AugmentRow::default()
        };
        let factors: Vec<f32> = (0..c).map(|channel| channel as f32 - 2.0).collect();
        cases.push(Case::new(
            format!("augment/{}/channels", Shape::from(shape)),
            vec![bytes(shape), given(&vec![row; n])],
            move |g, x| {
                let tables = g.augment_tables(x[0], x[1])?;
                Ok(vec![
                    g.augment_with(x[0], x[1], tables, &factors, &factors)?,
                ])
            },
        ));
    }
    for (shape, knots) in [([9, 3, 11, 12], 2), ([3, 1, 28, 28], 5)] {
        let field = Input {
            ty: Type::u32([shape[0], 24 + 2 * knots * knots]),
            draw: Draw::Below(u32::MAX),
        };
        cases.push(Case::new(
            format!("augment/{}/any words/{knots} knots", Shape::from(shape)),
            vec![bytes(shape), field],
            |g, x| {
                let tables = g.augment_tables(x[0], x[1])?;
                Ok(vec![g.augment_with(x[0], x[1], tables, &[1.0], &[0.0])?])
            },
        ));
    }
    for knots in [2, 3, 8] {
        let elastic = Elastic { knots, most: 3.0 };
        cases.push(Case::new(
            format!("augment/[5, 3, 16, 20]/elastic/{knots} knots"),
            vec![words(CLOCK), below([5], 1000), bytes([5, 3, 16, 20])],
            move |g, x| {
                let row = AugmentRow {
                    bilinear: true,
                    ..AugmentRow::default()
                };
                let stage = AugmentStage {
                    choices: vec![row.into()],
                    alternate: false,
                };
                let rows = g.augment_rows(x[0], x[1], 9, &[stage], Some(elastic))?;
                Ok(vec![g.augment(x[2], rows, &[1.0], &[0.0])?])
            },
        ));
    }
    // Rows that only pick pixels and erase have kernels of their own.
    for (c, border) in [(1, Border::Fill), (3, Border::Reflect), (5, Border::Edge)] {
        cases.push(Case::new(
            format!("augment/[9, {c}, 16, 20]/picks/{border:?}"),
            vec![words(CLOCK), below([9], 1000), bytes([9, c, 16, 20])],
            move |g, x| {
                let flipped = AugmentRow {
                    matrix: [-1.0, 0.0, 19.0, 0.0, 1.0, -2.0],
                    border,
                    fill: 9,
                    ..AugmentRow::default()
                };
                let erased = AugmentRow {
                    border,
                    fill: 9,
                    erase: [2, 3, 7, 6],
                    ..AugmentRow::default()
                };
                let stage = AugmentStage {
                    choices: vec![flipped.into(), erased.into()],
                    alternate: false,
                };
                let rows = g.augment_rows(x[0], x[1], 9, &[stage], None)?;
                let scale: Vec<f32> = (0..c).map(|k| 0.5_f32.powi(k as i32)).collect();
                Ok(vec![g.augment(x[2], rows, &scale, &[-0.5])?])
            },
        ));
    }
    cases
}

fn masks() -> Vec<Case> {
    let mut cases = Vec::new();
    let size = [13, 17];
    for (name, rows) in single(size).into_iter().take(4) {
        cases.push(Case::new(
            format!("augment_mask/[3, 13, 17]/{name}"),
            vec![below([3, 13, 17], 21), given(&rows)],
            |g, x| Ok(vec![g.augment_mask(x[0], x[1], 255)?]),
        ));
    }
    cases.push(Case::new(
        "augment_mask/[29, 6, 5]/any words",
        vec![below([29, 6, 5], u32::MAX), below([29, 32], u32::MAX)],
        |g, x| Ok(vec![g.augment_mask(x[0], x[1], 3)?]),
    ));
    cases
}

fn mixtures() -> Vec<Case> {
    let row = AugmentRow::default();
    let shares = [1.0, 0.25, 0.0, 0.7, 0.5].map(|share| AugmentRow { share, ..row });
    let boxes = [
        [0, 0, 0, 0],
        [1, 1, 3, 2],
        [-2, -1, 4, 4],
        [3, 4, 9, 9],
        [0, 0, 5, 6],
    ];
    let boxes = boxes.map(|erase| AugmentRow { erase, ..row });
    let ends = [1.0, 0.0, 1.0, 0.0, 0.0].map(|share| AugmentRow { share, ..row });
    let both = AugmentRow {
        share: 0.3,
        erase: [0, 2, 3, 3],
        ..row
    };
    let bound = Bound::Norm(4.0 * 2f64.powi(-24));
    let mut cases = Vec::new();
    for (name, rows) in [
        ("shares", given(&shares)),
        ("boxes", given(&boxes)),
        ("both", given(&[both; 19])),
        ("one", given(&[both])),
        ("none", given(&[])),
        ("any words", below([19, 24], u32::MAX)),
        ("any few", below([19, 24], 7)),
    ] {
        let n = rows.ty.shape[0];
        let real = drawn([n, 2, 6, 5], Draw::Real);
        let case = Case::new(
            format!("mix/[{n}, 2, 6, 5]/{name}"),
            vec![real, rows.clone()],
            |g, x| Ok(vec![g.mix(x[0], x[1])?]),
        );
        cases.push(match name {
            "boxes" => case,
            _ => case.inexact().bound(bound),
        });
        for classes in [1, 10, 700] {
            // Many classes make many parts of the shares, few of them of the labels.
            let case = Case::new(
                format!("mix_labels/{n}/{classes} classes/{name}"),
                vec![labels(n, classes as u32), rows.clone()],
                move |g, x| Ok(vec![g.mix_labels(x[0], x[1], classes, [6, 5])?]),
            );
            cases.push(case.inexact().bound(bound));
        }
    }
    // An infinity of an image whose share is 0 leaves no NaN; between, it stays what it is.
    let special = |name: &str, rows: &[AugmentRow]| {
        let real = drawn([rows.len(), 2, 6, 5], Draw::Special);
        Case::new(
            format!("mix/[{}, 2, 6, 5]/special/{name}", rows.len()),
            vec![real, given(rows)],
            |g, x| Ok(vec![g.mix(x[0], x[1])?]),
        )
    };
    cases.push(special("ends", &ends));
    cases.push(special("both", &[both; 19]).inexact().bound(bound));
    cases
}
