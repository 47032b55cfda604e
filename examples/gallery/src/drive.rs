//! How is the wheel to be turned? Numbers from pictures of a road, and a ride by them.
//!
//! The right answer is the curvature of the road, less what leads back to the middle of the lane: a
//! share of how far the car is beside it, and of the angle between car and road. Then a car drives
//! with the network at its wheel, one picture after the other.

use std::time::Instant;

use striate::data::{Chance, Dataset, Picture, Split, Targets};
use striate::nn::{Flatten, InstanceNorm2d, Linear, Relu, Sequential};
use striate::prelude::*;
use striate::train::{AdamW, Regression, Trainer};

use crate::canvas::{Canvas, DARK};
use crate::parts::{halving, linear};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Rows and columns of a picture.
const HEIGHT: usize = 32;
const WIDTH: usize = 64;
const PIXELS: usize = HEIGHT * WIDTH;
/// The row of the horizon.
const HORIZON: f64 = 9.0;
/// Pixels that one metre takes at a distance of one metre.
const FOCAL: f64 = 42.0;
/// Metres of the camera above the road.
const ABOVE: f64 = 1.4;
/// Metres from the middle of the lane to the middle of its lines.
const HALF_LANE: f64 = 1.75;
/// Metres from the middle of the lane beyond which a ride ends.
const LOST: f64 = 4.0;

/// By how much a metre beside the middle bends the way back, in 1/m.
const BACK: f64 = 0.02;
/// The same of an angle of one radian.
const ALONG: f64 = 0.25;
/// The curvature in 1/m that the wheel makes at 1, its end.
const TURNED: f64 = 0.08;

/// Metres that the car moves from one picture to the next.
const STEP: f64 = 1.0;
const STEPS: usize = 200;

/// Steers by pictures of a road, and drives
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// Where a car is on its road.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Metres to the right of the middle of the lane.
    offset: f64,
    /// Radians to the right of the direction of the road.
    heading: f64,
}

impl Place {
    /// How the wheel is to be turned on a road of this curvature, from -1 (left) to 1.
    fn steering(self, curvature: f64) -> f64 {
        (curvature - BACK * self.offset - ALONG * self.heading) / TURNED
    }
}

/// How far pictures differ from each other.
#[derive(Clone, Copy)]
struct RoadRange {
    /// Of roads, in 1/m, to either side.
    curvature: f64,
    /// What all brightness is multiplied by.
    light: [f64; 2],
    /// What is left of the light in shadows.
    shade: [f64; 2],
}

const LEARNT: RoadRange = RoadRange {
    curvature: 0.02,
    light: [0.6, 1.1],
    shade: [0.5, 0.8],
};

/// Sharper curves at dusk, with deeper shadows.
const HELD_OUT: RoadRange = RoadRange {
    curvature: 0.024,
    light: [0.35, 0.6],
    shade: [0.35, 0.6],
};

/// What a road looks like; brightness from 0 to 1.
struct Road {
    light: f64,
    road: f64,
    line: f64,
    grass: f64,
    sky: f64,
    /// Shadows across the road: from and to which metre along it, and beside it, and what is left
    /// of the light.
    shadows: Vec<[f64; 5]>,
}

impl Road {
    /// With so many shadows along so many metres.
    fn new(chance: &mut Chance, range: RoadRange, shadows: usize, metres: f64) -> Self {
        Self {
            light: chance.within(range.light),
            road: chance.within([0.25, 0.45]),
            line: chance.within([0.7, 0.95]),
            grass: chance.within([0.3, 0.6]),
            sky: chance.within([0.6, 0.95]),
            shadows: (0..shadows)
                .map(|_| {
                    let from = metres * chance.unit();
                    let left = chance.within([-6.0, 2.0]);
                    let long = chance.within([1.0, 5.0]);
                    let wide = chance.within([1.5, 8.0]);
                    let left_of_light = chance.within(range.shade);
                    [from, from + long, left, left + wide, left_of_light]
                })
                .collect(),
        }
    }

    /// What the camera sees `from` metres along the road, where the middle of the lane is
    /// `middle(distance)` metres to the right of the camera's axis.
    fn seen(&self, from: f64, middle: impl Fn(f64) -> f64, chance: &mut Chance) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(PIXELS);
        for row in 0..HEIGHT {
            let below = row as f64 + 0.5 - HORIZON;
            let distance = ABOVE * FOCAL / below;
            let middle = if below > 0.0 { middle(distance) } else { 0.0 };
            for column in 0..WIDTH {
                let mut grey = self.sky;
                if below > 0.0 {
                    let metres = distance / FOCAL;
                    let right = (column as f64 + 0.5 - 0.5 * WIDTH as f64) * metres - middle;
                    grey = self.ground(right, metres, chance.swing());
                    let at = from + distance;
                    let over = |[from, to, left, end, _]: &&[f64; 5]| {
                        (*from..*to).contains(&at) && (*left..*end).contains(&right)
                    };
                    grey *= self
                        .shadows
                        .iter()
                        .filter(over)
                        .map(|shadow| shadow[4])
                        .product::<f64>();
                }
                let grey = self.light * grey + 0.05 * chance.swing();
                pixels.push((255.0 * grey).clamp(0.0, 255.0) as u8);
            }
        }
        pixels
    }

    /// Brightness of the ground so many metres to the right of the middle of the lane, where a
    /// pixel is so many metres wide.
    fn ground(&self, right: f64, pixel: f64, texture: f64) -> f64 {
        // How much of the pixel lies within a stripe.
        let within = |middle: f64, half: f64| {
            (0.5 + (half - (right.abs() - middle).abs()) / pixel).clamp(0.0, 1.0)
        };
        let asphalt = within(0.0, HALF_LANE + 0.5);
        let grass = self.grass + 0.15 * texture;
        let grey = grass + (self.road + 0.03 * texture - grass) * asphalt;
        let thin = (0.2 / pixel).min(1.0);
        grey + (self.line - grey) * within(HALF_LANE, 0.1).min(thin)
    }
}

/// Pictures of bends, and how the wheel is to be turned at each.
fn draw(count: usize, seed: u64, range: RoadRange) -> Result<Dataset> {
    let mut images = Vec::with_capacity(count * PIXELS);
    let mut values = Vec::with_capacity(count);
    for index in 0..count {
        let mut chance = Chance::of(seed, index as u64);
        let curvature = range.curvature * chance.within([-1.0, 1.0]);
        let place = Place {
            offset: chance.within([-1.2, 1.2]),
            heading: chance.within([-0.12, 0.12]),
        };
        let shadows = chance.below(5);
        let scene = Road::new(&mut chance, range, shadows, 20.0);
        let middle = |distance: f64| {
            0.5 * curvature * distance * distance - place.offset - place.heading * distance
        };
        images.extend(scene.seen(0.0, middle, &mut chance));
        values.push(place.steering(curvature) as f32);
    }
    Dataset::of_values(
        images,
        &Tensor::f32([count, 1], values)?,
        [1, HEIGHT, WIDTH],
    )
}

/// Each picture is taken in its own light: to mean 0 and deviation 1.
fn network() -> Sequential {
    Sequential::new()
        .then(InstanceNorm2d::new(1))
        .named("block1", halving(1, 12))
        .named("block2", halving(12, 16))
        .named("block3", halving(16, 24))
        .then(Flatten)
        .named("fc1", Linear::new(24 * 4 * 8, 32))
        .then(Relu)
        .named("fc2", Linear::new(32, 1))
}

/// Curvature of the road of the ride, at so many metres, in 1/m.
fn bend(metres: f64) -> f64 {
    0.015 * (metres / 14.0).cos() + 0.006 * (metres / 5.5).cos()
}

/// A ride: where the car was, and what was seen and done there.
struct Ride {
    places: Vec<(f64, Place)>,
    steering: Vec<f64>,
    pictures: Vec<Vec<u8>>,
    /// Seconds that each answer took.
    seconds: Vec<f64>,
}

/// Drives along the road of [`bend`] by what `steer` makes of each picture, until its end or until
/// the road is lost.
fn ride(seed: u64, mut steer: impl FnMut(&[u8]) -> Result<f64>) -> Result<Ride> {
    let mut chance = Chance::of(seed, 1 << 32);
    let scene = Road::new(&mut chance, HELD_OUT, 60, STEP * STEPS as f64);
    let (mut metres, mut place) = (
        0.0,
        Place {
            offset: 0.8,
            heading: 0.0,
        },
    );
    let mut ride = Ride {
        places: vec![(metres, place)],
        steering: Vec::new(),
        pictures: Vec::new(),
        seconds: Vec::new(),
    };
    while ride.steering.len() < STEPS && place.offset.abs() < LOST {
        // The road ahead, metre by metre: its direction is the sum of its bends, and how far it
        // goes to the side the sum of its directions.
        let (mut ahead, mut direction, mut side) = (vec![0.0], 0.0, 0.0);
        for metre in 0..60 {
            direction += bend(metres + f64::from(metre));
            side += direction - 0.5 * bend(metres + f64::from(metre));
            ahead.push(side);
        }
        let middle = |distance: f64| {
            let (whole, rest) = (distance as usize, distance.fract());
            let side = match ahead.get(whole..whole + 2) {
                Some(ends) => ends[0] + (ends[1] - ends[0]) * rest,
                None => side + direction * (distance - 60.0),
            };
            side - place.offset - place.heading * distance
        };
        let picture = scene.seen(metres, middle, &mut chance);
        let start = Instant::now();
        let steering = steer(&picture)?.clamp(-1.0, 1.0);
        ride.seconds.push(start.elapsed().as_secs_f64());
        ride.steering.push(steering);
        ride.pictures.push(picture);
        let slow = STEP / 10.0;
        for _ in 0..10 {
            let road = bend(metres);
            // A metre of the car is more of the road on the inside of its bends.
            let along = slow * place.heading.cos() / (1.0 - road * place.offset);
            place.offset += slow * place.heading.sin();
            place.heading += slow * TURNED * steering - along * road;
            metres += along;
        }
        ride.places.push((metres, place));
    }
    Ok(ride)
}

impl Ride {
    /// The greatest distance from the middle of the lane after the first 20 metres, on which the
    /// car comes from the side; of a ride that ends early, on all of it.
    fn farthest(&self) -> f64 {
        let lost = self.steering.len() < STEPS;
        let later = self
            .places
            .iter()
            .filter(|(metres, _)| lost || *metres > 20.0);
        later.fold(0.0, |most, (_, place)| most.max(place.offset.abs()))
    }

    fn tell(&self, who: &str) -> Result<()> {
        let mut times = self.seconds.clone();
        times.sort_by(f64::total_cmp);
        let time = |share: f64| {
            let at = (share * times.len() as f64) as usize;
            1000.0 * times.get(at).copied().unwrap_or(f64::NAN)
        };
        let frames = self.steering.len();
        let far = self.farthest();
        let [middle, slow] = [time(0.5), time(0.95)];
        let left = match frames < STEPS {
            true => ", off the road",
            false if far > HALF_LANE => ", out of the lane",
            false => "",
        };
        say(format!(
            "{who}: {frames} frames, {middle:.2} ms each (median; 95 %: {slow:.2} ms), {far:.2} m \
             from the middle at most{left}"
        ))
    }
}

const ROAD: [u8; 3] = [74, 78, 90];
const LINE: [u8; 3] = [190, 190, 190];
const OWN: [u8; 3] = [96, 208, 128];
const OTHER: [u8; 3] = [232, 96, 88];
const THIRD: [u8; 3] = [110, 150, 240];

/// Above, what the camera saw on the ride, with the right steering (white) and the network's
/// (green); below, the rides from above: the network's, a linear model's (red) and the one straight
/// on (blue).
fn picture(rides: [&Ride; 3]) -> Result<Picture> {
    const TIMES: usize = 3;
    const SHOWN: usize = 10;
    const COLUMNS: usize = 5;
    let [own, ..] = rides;
    let mut tiles = Vec::new();
    for number in 0..SHOWN.min(own.pictures.len()) {
        let frame = number * own.pictures.len() / SHOWN;
        // As bright as can be.
        let seen = &own.pictures[frame];
        let most = seen.iter().copied().max().unwrap_or(0).max(1);
        let bright = |&pixel: &u8| (u32::from(pixel) * 255 / u32::from(most)) as u8;
        let bright: Vec<u8> = seen.iter().map(bright).collect();
        let seen = Picture::of_image(&bright, [1, HEIGHT, WIDTH])?;
        let [wide, high] = [TIMES * WIDTH, TIMES * HEIGHT];
        let mut canvas = Canvas::new([wide, high], DARK);
        canvas.put([0, 0], &seen.enlarged(TIMES)?);
        let (metres, place) = own.places[frame];
        let mut needle = |steering: f64, thick, colour| {
            let foot = [0.5 * wide as f64, high as f64 - 4.0];
            let (sin, cos) = (1.3 * steering).sin_cos();
            canvas.line(
                &[foot, [foot[0] + 40.0 * sin, foot[1] - 40.0 * cos]],
                thick,
                colour,
            );
        };
        needle(place.steering(bend(metres)), 6.0, [255; 3]);
        needle(own.steering[frame], 3.0, OWN);
        tiles.push(canvas.picture()?);
    }
    let frames = Picture::grid(&tiles, COLUMNS, 6)?;

    // The middle of the road, metre by metre: x along the picture, y down, and its direction.
    let (mut point, mut direction) = ([0.0f64, 0.0f64], 0.0f64);
    let mut road = vec![(point, direction)];
    for metre in 0..(STEP * STEPS as f64) as usize + 20 {
        direction += bend(metre as f64);
        point = [point[0] + direction.cos(), point[1] + direction.sin()];
        road.push((point, direction));
    }
    let at = |(metres, offset): (f64, f64)| {
        let nearest = (metres.max(0.0) as usize).min(road.len() - 1);
        let ([x, y], direction) = road[nearest];
        let (sin, cos) = direction.sin_cos();
        let along = metres - nearest as f64;
        [
            x + along * cos - offset * sin,
            y + along * sin + offset * cos,
        ]
    };
    let mut least = [f64::MAX; 2];
    let mut most = [f64::MIN; 2];
    for ([x, y], _) in &road {
        least = [least[0].min(*x), least[1].min(*y)];
        most = [most[0].max(*x), most[1].max(*y)];
    }
    let scale = (frames.width() as f64 - 40.0) / (most[0] - least[0]);
    let high = (scale * (most[1] - least[1] + 12.0)) as usize;
    let place = |point: [f64; 2]| {
        [
            20.0 + scale * (point[0] - least[0]),
            scale * (point[1] - least[1] + 6.0),
        ]
    };
    let mut canvas = Canvas::new([frames.width(), frames.height() + high], DARK);
    canvas.put([0, 0], &frames);
    let top = frames.height() as f64;
    let mut curve = |points: &mut dyn Iterator<Item = (f64, f64)>, thick: f64, colour| {
        let points = points.map(|point| {
            let [x, y] = place(at(point));
            [x, y + top]
        });
        canvas.line(&points.collect::<Vec<_>>(), thick, colour);
    };
    let along = |offset: f64| (0..road.len()).map(move |metre| (metre as f64, offset));
    curve(&mut along(0.0), 2.0 * scale * (HALF_LANE + 0.5), ROAD);
    for side in [-HALF_LANE, HALF_LANE] {
        curve(&mut along(side), 1.0, LINE);
    }
    for (ride, colour) in rides.into_iter().zip([OWN, OTHER, THIRD]).rev() {
        let mut places = ride
            .places
            .iter()
            .map(|(metres, place)| (*metres, place.offset));
        curve(&mut places, 2.5, colour);
    }
    canvas.picture()
}

/// The mean absolute error of the constant answer that is best for the training data, their median.
fn constant(data: &Split) -> f64 {
    let values = |set: &Dataset| match &set.targets {
        Targets::Values { values, .. } => values.clone(),
        _ => Vec::new(),
    };
    let mut learnt = values(&data.train);
    learnt.sort_by(f32::total_cmp);
    let median = learnt.get(learnt.len() / 2).copied().unwrap_or(0.0);
    let others = values(&data.test);
    let errors = others.iter().map(|value| f64::from((value - median).abs()));
    errors.sum::<f64>() / others.len().max(1) as f64
}

/// Trains both, says how far their steering is from the right one on other roads, and drives.
///
/// # Errors
/// Those of training and of drawing pictures; `Data` if the network is to drive as expected, and
/// leaves the lane.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let data = Split {
        train: draw(common.pick(3000, 1500), common.training_seed(), LEARNT)?,
        test: draw(1000, common.held_out_seed(), HELD_OUT)?,
    };
    let engine = engine()?;
    let fit = |net: &dyn Module, epochs: usize, rate: f32| {
        let recipe = Recipe {
            task: Regression::new(),
            optimizer: AdamW::new().into(),
            rate,
            epochs,
            batch: 40,
        };
        let mut trainer = recipe.train(&engine, net, &data, common)?;
        let error = trainer.evaluate(&data.test)?.scalar("mae");
        Ok::<_, Error>((trainer, error.unwrap_or(f64::NAN)))
    };
    say("a linear model of the pixels:")?;
    let (mut by_pixels, pixels_error) = fit(&linear(PIXELS, 1), common.pick(10, 5), 0.001)?;
    say("three convolutions:")?;
    let (mut by_filters, filters_error) = fit(&network(), common.pick(7, 3), 0.01)?;

    let seed = common.held_out_seed();
    let of = |trainer: &mut Trainer, picture: &[u8]| Ok(trainer.predict(picture)?.item()?.into());
    // The first answer is slower than all others.
    by_filters.predict(&[0; PIXELS])?;
    let own = ride(seed, |picture| of(&mut by_filters, picture))?;
    let other = ride(seed, |picture| of(&mut by_pixels, picture))?;
    let straight = ride(seed, |_| Ok(0.0))?;
    own.tell("the network drives")?;
    other.tell("the linear model")?;
    straight.tell("straight on")?;
    common.write("drive.png", &picture([&own, &other, &straight])?)?;
    if common.expect && (own.steering.len() < STEPS || own.farthest() > HALF_LANE) {
        let message = format!("the network leaves its lane: {:.2} m", own.farthest());
        return Err(Error::new(ErrorKind::Data, message));
    }
    Ok(Outcome::new(
        "mean error of the steering, of -1 to 1, in 1,000 held-out pictures: sharper bends at dusk",
        "",
        Better::Lower,
        filters_error,
        common.pick(0.06, 0.12),
    )
    .beside("a linear model", pixels_error)
    .beside("the constant answer", constant(&data)))
}
