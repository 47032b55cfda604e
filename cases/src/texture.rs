//! Textures as tensors, and tensors as textures.

use striate::check::{Bound, Case, Draw, Input, drawn, real, texels};
use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::kernel::TexelFormat;
use striate::ops::{
    Curve, Paint, TexelResize, Texels, TextureInput, TextureOutput, Transfer, VideoRange,
};

use super::words;

/// Texels between 0 and 1, but for numbers of which a network is told: what is promised.
const CHOSEN: Bound = Bound::Norm(1e-6);
/// With sRGB, or a format of 8 bits or of half precision, in it.
const SRGB: Bound = Bound::Norm(1.0 / 1024.0);
/// Half a step of 1/255, relative to the largest texel, which is nearly 1.
const BYTES: Bound = Bound::Norm(0.6 / 255.0);

pub fn texture() -> Vec<Case> {
    let families = [
        read(),
        sizes(),
        many(),
        exposures(),
        video(),
        write(),
        over(),
    ];
    families.into_iter().flatten().collect()
}

/// A case of one image made of its first inputs, which are textures.
fn input(
    name: impl Into<String>,
    inputs: Vec<Input>,
    textures: usize,
    settings: impl Fn(&[Value]) -> TextureInput + Send + Sync + 'static,
) -> Case {
    Case::new(
        format!("texture_input/{}", name.into()),
        inputs,
        move |g, x| {
            Ok(vec![g.texture_input(
                &x[..textures],
                &settings(&x[textures..]),
            )?])
        },
    )
}

/// One texture in its own size: components, transfers, flips, windows.
fn read() -> Vec<Case> {
    let image = || vec![texels(5, 7, -1.0, 2.0)];
    let own = || TextureInput::new([5, 7]);
    let mut cases = vec![
        input("rgb", image(), 1, move |_| own().read(Texels::rgb())),
        input("bgr", image(), 1, move |_| own().read(Texels::bgr())),
        input("red", image(), 1, move |_| own().read(Texels::red())),
        input("alpha, green", image(), 1, move |_| {
            own().read(Texels::new(&[3, 1]))
        }),
        input("flipped", image(), 1, move |_| {
            let texels = Texels::new(&[0, 1, 2, 3]).flip_rows();
            own().read(texels.flip_columns())
        }),
        input("normalised", image(), 1, move |_| {
            own().read(Texels::rgb().normalise(&[0.5, 0.25, 2.0], &[2.0, 0.5, 4.0]))
        })
        .bound(CHOSEN),
        // From row 2 and column 4 on: past both ends.
        input(
            "window",
            vec![texels(5, 7, -1.0, 2.0), words(&[2, 4])],
            1,
            |x| {
                let window = TextureInput::new([4, 4]).crop([4, 4], x[0]);
                window.read(Texels::rgb().flip_rows())
            },
        ),
    ];
    // Far beyond both edges: all texels are the last one.
    cases.push(input(
        "window/beyond",
        vec![texels(5, 7, -1.0, 2.0), words(&[u32::MAX, u32::MAX])],
        1,
        |x| {
            TextureInput::new([3, 3])
                .crop([3, 3], x[0])
                .read(Texels::rgb())
        },
    ));
    for (name, transfer, bound) in [
        ("clamp", Transfer::Clamp, Bound::Exact),
        ("signed", Transfer::Signed, Bound::Exact),
        ("srgb", Transfer::Srgb, SRGB),
        ("log", Transfer::Log, CHOSEN),
    ] {
        let case = input(name, image(), 1, move |_| {
            own().read(Texels::rgb().transfer(transfer))
        });
        cases.push(match bound {
            Bound::Exact => case,
            bound => case.bound(bound).inexact(),
        });
    }
    // High dynamic range: thousands.
    let bright = input("log/bright", vec![texels(4, 4, 0.0, 60_000.0)], 1, |_| {
        TextureInput::new([4, 4]).read(Texels::rgb().transfer(Transfer::Log))
    });
    cases.push(bright.bound(CHOSEN).inexact());
    cases
}

/// Other sizes, of textures that are smaller and larger.
fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, resize) in [
        ("nearest", TexelResize::Nearest),
        ("bilinear", TexelResize::Bilinear),
        ("area", TexelResize::Area),
    ] {
        for ([height, width], size) in [
            ([5, 7], [5, 7]),
            ([5, 7], [8, 3]),
            ([9, 4], [3, 11]),
            ([1, 6], [4, 4]),
            ([12, 12], [3, 1]),
            ([3, 2], [1, 1]),
        ] {
            let [rows, columns] = size;
            let case = input(
                format!("{name}/{height}x{width}->{rows}x{columns}"),
                vec![texels(height, width, -1.0, 1.0)],
                1,
                move |_| TextureInput::new(size).resize(resize).read(Texels::rgb()),
            );
            cases.push(match resize {
                TexelResize::Nearest => case,
                _ => case.bound(CHOSEN).inexact(),
            });
        }
    }
    let window = input(
        "bilinear/window",
        vec![texels(9, 9, -1.0, 1.0), words(&[1, 3])],
        1,
        |x| {
            TextureInput::new([5, 8])
                .crop([6, 4], x[0])
                .read(Texels::rgb())
        },
    );
    cases.push(window.bound(CHOSEN).inexact());
    cases
}

/// Several textures of several sizes, side by side in the channels.
fn many() -> Vec<Case> {
    let inputs = || {
        vec![
            texels(6, 8, 0.0, 9.0),
            texels(6, 8, -0.5, 1.5),
            texels(3, 4, 0.0, 1.0),
            texels(7, 5, -2.0, 2.0),
        ]
    };
    let reads = || {
        [
            Texels::rgb().transfer(Transfer::Log),
            Texels::albedo().flip_rows(),
            Texels::normal().flip_columns(),
            Texels::red().normalise(&[0.5], &[0.25]),
        ]
    };
    (2..=4)
        .map(|count| {
            let case = input(
                format!("{count} textures"),
                inputs()[..count].to_vec(),
                count,
                move |_| {
                    let own = TextureInput::new([6, 8]);
                    reads()
                        .into_iter()
                        .take(count)
                        .fold(own, TextureInput::read)
                },
            );
            case.bound(CHOSEN).inexact()
        })
        .collect()
}

/// Exposures, given and measured.
fn exposures() -> Vec<Case> {
    let exposed = |transfer| Texels::rgb().exposed().transfer(transfer);
    let inputs = || {
        vec![
            texels(4, 5, 0.0, 30.0),
            drawn([1], Draw::Between(0.25, 4.0)),
        ]
    };
    let given = input("exposure", inputs(), 1, move |x| {
        let own = TextureInput::new([4, 5]).exposure(x[0]);
        own.read(exposed(Transfer::Linear))
    });
    let log = input("exposure/log", inputs(), 1, move |x| {
        let own = TextureInput::new([4, 5]).exposure(x[0]);
        own.read(exposed(Transfer::Log))
    });
    let mut cases = vec![given, log.bound(CHOSEN).inexact()];
    // Logarithms and exponentials, 3 ULP and more each: WGSL's section on accuracy.
    for (name, [height, width], low, high) in [
        ("bright", [20, 33], 0.0, 500.0),
        ("dark", [5, 6], -1.0, 0.0),
        ("large", [130, 70], 0.0, 1.0),
    ] {
        let case = Case::new(
            format!("auto_exposure/{name}"),
            vec![texels(height, width, low, high)],
            |g, x| Ok(vec![g.auto_exposure(x[0])?]),
        );
        cases.push(case.bound(Bound::Norm(1e-5)).inexact());
    }
    cases
}

fn video() -> Vec<Case> {
    // Chroma is taken from half of where luma is.
    let inputs = vec![
        texels(12, 16, 0.0, 1.0),
        texels(6, 8, 0.0, 1.0),
        words(&[4, 6]),
    ];
    let cropped = input("video/window", inputs, 2, |x| {
        TextureInput::new([5, 8])
            .video(VideoRange::Full, 0.2126, 0.0722)
            .crop([6, 8], x[0])
            .read(Texels::rgb())
    });
    let cropped = cropped.bound(CHOSEN).inexact();
    [
        ("bt601, limited", VideoRange::Limited, 0.299, 0.114),
        ("bt709, full", VideoRange::Full, 0.2126, 0.0722),
    ]
    .map(|(name, range, red, blue)| {
        let inputs = vec![
            texels(6, 8, 0.0, 1.0),
            texels(3, 4, 0.0, 1.0),
            texels(5, 5, 0.0, 1.0),
        ];
        let case = input(format!("video/{name}"), inputs, 3, move |_| {
            let video = TextureInput::new([7, 8]).video(range, red, blue);
            video.read(Texels::rgb().flip_rows()).read(Texels::red())
        });
        case.bound(CHOSEN).inexact()
    })
    .into_iter()
    .chain([cropped])
    .collect()
}

/// A case of one texture made of the first input.
fn output(
    name: impl Into<String>,
    inputs: Vec<Input>,
    settings: impl Fn(&[Value]) -> TextureOutput + Send + Sync + 'static,
) -> Case {
    let build = move |g: &mut Graph, x: &[Value]| -> Result<Vec<Value>> {
        Ok(vec![g.texture_output(
            "target",
            x[0],
            &settings(&x[1..]),
        )?])
    };
    Case::new(format!("texture_output/{}", name.into()), inputs, build)
        .bound(CHOSEN)
        .inexact()
}

const WHOLE: &str = "texture_output does not work on parts of it";
const FLOATS: TexelFormat = TexelFormat::Rgba32Float;

fn write() -> Vec<Case> {
    let image = |channels: usize| drawn([1, channels, 5, 7], Draw::Between(0.0, 1.0));
    let own = |format| TextureOutput::new(format, [5, 7]);
    let mut cases = Vec::new();
    for (format, bound) in [
        (TexelFormat::Rgba8Unorm, BYTES),
        (TexelFormat::Rgba16Float, SRGB),
        (TexelFormat::R32Float, CHOSEN),
        (TexelFormat::Rgba32Float, CHOSEN),
    ] {
        for channels in [1, 3, 4] {
            let name = format!("{}/{channels} channels", format.name());
            let case = output(name, vec![image(channels)], move |_| own(format));
            cases.push(case.bound(bound));
        }
    }
    for (name, transfer, curve, bound) in [
        ("signed", Transfer::Signed, Curve::Linear, CHOSEN),
        ("from srgb", Transfer::Srgb, Curve::Linear, SRGB),
        ("from log", Transfer::Log, Curve::Linear, Bound::Norm(4e-6)),
        ("to srgb", Transfer::Linear, Curve::Srgb, SRGB),
        ("aces", Transfer::Log, Curve::AcesSrgb, SRGB),
    ] {
        let case = output(name, vec![image(3)], move |_| {
            own(FLOATS).transfer(transfer).curve(curve)
        });
        cases.push(case.bound(bound));
        let exposed = vec![image(3), drawn([1], Draw::Between(0.5, 4.0))];
        let case = output(format!("{name}/exposure"), exposed, move |x| {
            let exposed = own(FLOATS).transfer(transfer).exposure(x[0]);
            exposed.curve(curve)
        });
        cases.push(case.bound(bound));
    }
    let map = || Paint::Map(vec![[0.0; 4], [1.0, 0.5, 0.0, 0.5], [0.0, 0.25, 1.0, 1.0]]);
    let colours = |count: u32| (0..count).map(|i| [1.0 / (i + 1) as f32, i as f32 / 8.0, 0.0, 1.0]);
    let batch = |n: usize, c: usize| vec![real([n, c, 5, 7])];
    cases.extend([
        output("map", vec![image(1)], move |_| own(FLOATS).paint(map())),
        output("classes", batch(1, 4), move |_| {
            own(FLOATS).paint(Paint::Classes(colours(4).collect()))
        }),
        output("flipped", vec![image(3)], move |_| {
            own(FLOATS).flip_rows().flip_columns()
        }),
        output("normalised", vec![image(3)], move |_| {
            own(FLOATS).normalised(&[0.5, 0.25, 0.0], &[2.0, 0.5, 1.0])
        }),
        // Channel 3 of sample 1.
        output("feature map", batch(2, 5), move |_| {
            own(FLOATS).sample(1).channel(3)
        })
        .whole(WHOLE),
        output("window", vec![image(3), words(&[0, 0])], move |x| {
            own(FLOATS).window([5, 7], x[0])
        }),
        // Two rows and three columns are left out.
        output(
            "window/skipped",
            vec![image(3), words(&[0, 0, 2, 3])],
            move |x| own(FLOATS).window([5, 7], x[0]),
        ),
        output(
            "window/all skipped",
            vec![image(3), words(&[0, 0, 0, 7])],
            move |x| own(FLOATS).window([5, 7], x[0]),
        ),
        output("larger", vec![image(3)], |_| {
            TextureOutput::new(FLOATS, [11, 9])
        }),
        output("smaller", vec![image(3)], |_| {
            TextureOutput::new(FLOATS, [2, 3])
        }),
        output("larger/nearest", vec![image(1)], |_| {
            TextureOutput::new(FLOATS, [11, 9]).nearest()
        }),
        output("larger/classes", batch(1, 3), move |_| {
            let larger = TextureOutput::new(FLOATS, [8, 8]);
            larger.paint(Paint::Classes(colours(3).collect()))
        }),
    ]);
    cases
}

/// Over another texture.
fn over() -> Vec<Case> {
    let mut cases = Vec::new();
    for (format, bound) in [
        (TexelFormat::Rgba8Unorm, BYTES),
        (TexelFormat::Rgba16Float, SRGB),
        (TexelFormat::R32Float, CHOSEN),
        (TexelFormat::Rgba32Float, CHOSEN),
    ] {
        let inputs = vec![
            drawn([1, 4, 6, 6], Draw::Between(0.0, 1.0)),
            texels(3, 6, 0.0, 1.0),
        ];
        let case = output(format!("{}/over", format.name()), inputs, move |x| {
            TextureOutput::new(format, [6, 6]).over(x[0], 0.75)
        });
        cases.push(case.bound(bound));
    }
    cases
}
