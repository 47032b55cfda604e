//! Balls and blocks on a table before a wall, seen by rays.

use striate::data::Chance;

use super::Photo;
use super::noise::{grain, noise};

type Vector = [f64; 3];

/// What surfaces are covered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One colour.
    Plain,
    /// Parallel bands with soft edges.
    Stripes,
    /// Squares of two colours.
    Checks,
    /// Bent veins.
    Marble,
    /// Noise of several sizes.
    Grain,
    /// Rows of bricks with joints, each row moved by half a brick.
    Bricks,
    /// Discs on a square lattice.
    Dots,
}

/// What scenes may hold.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// What surfaces are covered with, each as often as the others.
    pub patterns: &'static [Pattern],
    /// The light, from 0 to 1, that reaches what the lamp does not.
    pub ambient: [f64; 2],
}

impl Look {
    /// What networks learn from.
    pub const LEARNT: Self = Self {
        patterns: &[
            Pattern::Plain,
            Pattern::Plain,
            Pattern::Stripes,
            Pattern::Checks,
            Pattern::Marble,
            Pattern::Grain,
        ],
        ambient: [0.35, 0.55],
    };
    /// The same in harder light, with bricks and dots besides, which no network has seen.
    pub const HELD_OUT: Self = Self {
        patterns: &[
            Pattern::Plain,
            Pattern::Stripes,
            Pattern::Checks,
            Pattern::Marble,
            Pattern::Grain,
            Pattern::Bricks,
            Pattern::Bricks,
            Pattern::Dots,
            Pattern::Dots,
        ],
        ambient: [0.2, 0.35],
    };
}

/// How a thing looks.
#[derive(Clone, Debug)]
struct Surface {
    pattern: Pattern,
    colours: [Vector; 2],
    /// Length after which the pattern comes again.
    period: f64,
    /// Sine and cosine of the angle by which it is turned.
    turn: (f64, f64),
    key: u32,
    shine: f64,
}

impl Surface {
    fn draw(chance: &mut Chance, look: Look) -> Self {
        let pattern = look.patterns[chance.below(look.patterns.len())];
        let hue = chance.within([0.0, std::f64::consts::TAU]);
        let other = hue + chance.within([-1.2, 1.2]);
        let bright = chance.within([0.45, 0.95]);
        let dark = bright * chance.within([0.25, 0.75]);
        let colours = [colour(hue, bright, chance), colour(other, dark, chance)];
        Self {
            pattern,
            colours,
            period: chance.within([0.16, 0.5]),
            turn: chance.within([0.0, std::f64::consts::PI]).sin_cos(),
            key: chance.below(u32::MAX as usize) as u32,
            shine: if chance.below(2) == 0 {
                0.0
            } else {
                chance.within([0.2, 0.7])
            },
        }
    }

    /// The same with a pattern so many times as wide.
    fn wider(self, times: f64) -> Self {
        Self {
            period: times * self.period,
            ..self
        }
    }

    /// The colour at a place on the surface.
    fn colour(&self, [s, t]: [f64; 2]) -> Vector {
        let (sin, cos) = self.turn;
        let place = [s, t].map(|part| part / self.period);
        let [u, v] = [
            cos * place[0] + sin * place[1],
            cos * place[1] - sin * place[0],
        ];
        // 0 is the first colour, 1 the second.
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Stripes => (0.5 + 2.0 * (std::f64::consts::TAU * u).sin()).clamp(0.0, 1.0),
            Pattern::Checks => (u.floor() + v.floor()).rem_euclid(2.0),
            Pattern::Marble => {
                let bent = u + 2.5 * grain([0.6 * u, 0.6 * v], self.key);
                0.5 + 0.5 * (4.0 * bent).sin()
            }
            Pattern::Grain => (2.2 * grain([1.5 * u, 1.5 * v], self.key) - 0.6).clamp(0.0, 1.0),
            Pattern::Bricks => {
                let row = (1.5 * place[1]).floor();
                let along = 0.75 * place[0] + 0.5 * row.rem_euclid(2.0);
                let joint = along.rem_euclid(1.0) < 0.09 || (1.5 * place[1]).rem_euclid(1.0) < 0.16;
                if joint {
                    1.0
                } else {
                    0.5 * noise([along.floor() + 0.5, row + 0.5], self.key)
                }
            }
            Pattern::Dots => {
                let from = [u, v].map(|part| part.rem_euclid(1.0) - 0.5);
                f64::from(u8::from(from[0].hypot(from[1]) < 0.3))
            }
        };
        mix(self.colours[0], self.colours[1], share)
    }
}

/// A colour of this hue, more or less grey.
fn colour(hue: f64, bright: f64, chance: &mut Chance) -> Vector {
    let pure = chance.within([0.05, 0.75]);
    [0.0, 1.0, 2.0].map(|part| {
        let wave = 0.5 + 0.5 * (hue + std::f64::consts::TAU * part / 3.0).cos();
        bright * (1.0 - pure * wave)
    })
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Ball {
        radius: f64,
    },
    /// Half the lengths along its axes, and sine and cosine of its turn about the vertical.
    Block {
        half: Vector,
        turn: (f64, f64),
    },
}

#[derive(Clone, Debug)]
struct Thing {
    middle: Vector,
    form: Form,
    surface: Surface,
}

/// Where a ray meets a surface.
struct Hit<'a> {
    distance: f64,
    normal: Vector,
    place: [f64; 2],
    surface: &'a Surface,
}

impl Thing {
    fn draw(chance: &mut Chance, look: Look) -> Self {
        let size = chance.within([0.35, 0.8]);
        let form = match chance.below(2) {
            0 => Form::Ball { radius: size },
            _ => Form::Block {
                half: [0.8, 1.2, 0.8].map(|share| size * share * chance.within([0.6, 1.0])),
                turn: chance.within([0.0, 1.5]).sin_cos(),
            },
        };
        let high = match form {
            Form::Ball { radius } => radius,
            Form::Block { half, .. } => half[1],
        };
        Self {
            middle: [chance.within([-1.6, 1.6]), high, chance.within([-1.2, 1.6])],
            form,
            surface: Surface::draw(chance, look),
        }
    }

    /// Where a ray comes in.
    fn hit(&self, from: Vector, along: Vector) -> Option<Hit<'_>> {
        let start = sub(from, self.middle);
        match self.form {
            Form::Ball { radius } => {
                let half = dot(start, along);
                let inside = half * half - dot(start, start) + radius * radius;
                let distance = -half - inside.max(0.0).sqrt();
                if inside < 0.0 || distance < 1e-6 {
                    return None;
                }
                let normal = add(start, along, distance).map(|part| part / radius);
                let round = normal[0].atan2(-normal[2]);
                Some(Hit {
                    distance,
                    normal,
                    place: [radius * round, radius * normal[1].clamp(-1.0, 1.0).asin()],
                    surface: &self.surface,
                })
            }
            Form::Block { half, turn } => {
                let (start, along) = (turned(start, turn), turned(along, turn));
                let (mut near, mut far, mut axis) = (f64::NEG_INFINITY, f64::INFINITY, 0);
                for at in 0..3 {
                    let ends = [-half[at], half[at]].map(|end| (end - start[at]) / along[at]);
                    let (first, last) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                    if first > near {
                        (near, axis) = (first, at);
                    }
                    far = far.min(last);
                }
                if near > far || near < 1e-6 {
                    return None;
                }
                let met = add(start, along, near);
                let mut normal = [0.0; 3];
                normal[axis] = -along[axis].signum();
                let place = match axis {
                    0 => [met[2], met[1]],
                    1 => [met[0], met[2]],
                    _ => [met[0], met[1]],
                };
                Some(Hit {
                    distance: near,
                    normal: turned(normal, (-turn.0, turn.1)),
                    place,
                    surface: &self.surface,
                })
            }
        }
    }
}

/// Things on a table before a wall, under a lamp.
#[derive(Clone, Debug)]
pub struct Scene {
    wall: Surface,
    table: Surface,
    things: Vec<Thing>,
    /// Towards the lamp.
    lamp: Vector,
    ambient: f64,
}

/// Where the camera stands; it looks towards +z.
const EYE: Vector = [0.0, 1.5, -4.2];
/// Where the wall stands.
const WALL: f64 = 2.6;
/// Samples along each edge of a pixel.
const SAMPLES: usize = 3;

impl Scene {
    /// Four to seven things, and everything else.
    pub fn draw(chance: &mut Chance, look: Look) -> Self {
        let side = if chance.below(2) == 0 { -1.0 } else { 1.0 };
        let lamp = [
            side * chance.within([0.3, 1.0]),
            chance.within([0.7, 1.3]),
            chance.within([-1.2, -0.5]),
        ];
        Self {
            wall: Surface::draw(chance, look).wider(1.6),
            table: Surface::draw(chance, look).wider(1.3),
            things: (0..4 + chance.below(4))
                .map(|_| Thing::draw(chance, look))
                .collect(),
            lamp: unit(lamp),
            ambient: chance.within(look.ambient),
        }
    }

    /// The scene around a point of the picture plane, whose rows reach from -1 to 1; a pixel is so
    /// wide on it.
    pub fn seen(&self, size: [usize; 2], middle: [f64; 2], pixel: f64) -> Photo {
        let [height, width] = size;
        let mut values = vec![0.0; 3 * height * width];
        let within = |sample: usize| (sample as f64 + 0.5) / SAMPLES as f64 - 0.5;
        for at in 0..height * width {
            let row = (at / width) as f64 - 0.5 * (height as f64 - 1.0);
            let column = (at % width) as f64 - 0.5 * (width as f64 - 1.0);
            let mut sum = [0.0; 3];
            for sample in 0..SAMPLES * SAMPLES {
                let [down, right] = [within(sample / SAMPLES), within(sample % SAMPLES)];
                let u = middle[0] + pixel * (column + right);
                let v = middle[1] + pixel * (row + down);
                // The lamp is no point: samples see different parts of it.
                let lamp = unit(add(self.lamp, [right, 0.0, down], 0.2));
                sum = add(sum, self.light(unit([u, -0.33 - v, 2.2]), lamp), 1.0);
            }
            for (channel, part) in sum.into_iter().enumerate() {
                let mean = part / (SAMPLES * SAMPLES) as f64;
                values[channel * height * width + at] = mean as f32;
            }
        }
        Photo::new(size, values)
    }

    /// What comes from the scene against a ray of the camera.
    fn light(&self, along: Vector, lamp: Vector) -> Vector {
        let hit = self.nearest(along);
        let met = add(EYE, along, hit.distance);
        let facing = dot(hit.normal, lamp);
        let start = add(met, hit.normal, 1e-4);
        let lit = facing > 0.0
            && self
                .things
                .iter()
                .all(|thing| thing.hit(start, lamp).is_none());
        let direct = if lit { facing } else { 0.0 };
        // The lamp shines on the middle of the scene.
        let far = (met[0] - 1.5 * lamp[0]).powi(2) + (met[2] - 0.3).powi(2);
        let strength = self.ambient + (1.15 - self.ambient) * direct / (1.0 + 0.06 * far);
        let mirrored = add(along, hit.normal, -2.0 * dot(along, hit.normal));
        let shine = match lit {
            true => hit.surface.shine * dot(mirrored, lamp).max(0.0).powi(30),
            false => 0.0,
        };
        hit.surface
            .colour(hit.place)
            .map(|part| part * strength + shine)
    }

    fn nearest(&self, along: Vector) -> Hit<'_> {
        let wall = (WALL - EYE[2]) / along[2];
        let mut nearest = Hit {
            distance: wall,
            normal: [0.0, 0.0, -1.0],
            place: [wall * along[0], EYE[1] + wall * along[1]],
            surface: &self.wall,
        };
        let table = -EYE[1] / along[1];
        if table > 0.0 && table < wall {
            nearest = Hit {
                distance: table,
                normal: [0.0, 1.0, 0.0],
                place: [table * along[0], table * along[2]],
                surface: &self.table,
            };
        }
        for hit in self.things.iter().filter_map(|thing| thing.hit(EYE, along)) {
            if hit.distance < nearest.distance {
                nearest = hit;
            }
        }
        nearest
    }
}

fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// a + b times.
fn add(a: Vector, b: Vector, times: f64) -> Vector {
    [0, 1, 2].map(|at| a[at] + times * b[at])
}

fn sub(a: Vector, b: Vector) -> Vector {
    add(a, b, -1.0)
}

fn unit(a: Vector) -> Vector {
    let length = dot(a, a).sqrt();
    a.map(|part| part / length)
}

/// About the vertical, by an angle of this sine and cosine.
fn turned([x, y, z]: Vector, (sin, cos): (f64, f64)) -> Vector {
    [cos * x + sin * z, y, cos * z - sin * x]
}

/// Between two colours: 0 is the first one, 1 the second.
pub fn mix(a: Vector, b: Vector, share: f64) -> Vector {
    add(a, sub(b, a), share)
}
