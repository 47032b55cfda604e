//! What is drawn: a Cornell box with spheres, as given or at random.

/// The most spheres that a scene may have.
pub const MOST_SPHERES: usize = 6;

/// What becomes of light on a sphere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Material {
    /// It leaves in all directions.
    Diffuse,
    /// It is mirrored, scattered by the roughness.
    Metal,
    /// It is mirrored or refracted, with an index of 1.5.
    Glass,
    /// A coat of index 1.5 over a diffuse surface, scattered by the roughness.
    Coated,
}

/// A sphere in the room `[-1, 1]^3`, which is open towards +z.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sphere {
    /// Centre.
    pub centre: [f32; 3],
    /// Radius.
    pub radius: f32,
    /// Reflectance of each channel, in [0, 1].
    pub colour: [f32; 3],
    /// How much what it mirrors is scattered, in [0, 1].
    pub roughness: f32,
    /// What it is made of.
    pub material: Material,
}

/// The lamp: a rectangle in the ceiling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lamp {
    /// Centre along x and z.
    pub centre: [f32; 2],
    /// Half of its extents along x and z.
    pub half: [f32; 2],
    /// Radiance of each channel.
    pub radiance: [f32; 3],
}

/// A camera that looks at the middle of the room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Angle around the vertical axis in radians; 0 looks in through the open side.
    pub orbit: f32,
    /// Height of the eye.
    pub height: f32,
    /// Distance of the eye from the axis.
    pub distance: f32,
    /// Half of what it sees along the shorter side of the picture, at a distance of 1.
    pub field: f32,
}

/// A scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Reflectance of the left, right and back wall, ceiling, floor, and every other tile of it.
    pub walls: [[f32; 3]; 6],
    /// The lamp.
    pub lamp: Lamp,
    /// At most [`MOST_SPHERES`]; further ones are not drawn.
    pub spheres: Vec<Sphere>,
    /// The camera.
    pub camera: Camera,
}

impl Scene {
    /// The box that the program shows: a glass, a metal and a coated sphere.
    pub fn cornell() -> Self {
        let sphere = |centre, radius, colour, roughness, material| Sphere {
            centre,
            radius,
            colour,
            roughness,
            material,
        };
        Self {
            walls: [
                [0.63, 0.06, 0.05],
                [0.14, 0.45, 0.09],
                [0.73, 0.71, 0.68],
                [0.73, 0.71, 0.68],
                [0.73, 0.71, 0.68],
                [0.35, 0.37, 0.42],
            ],
            lamp: Lamp {
                centre: [0.0, 0.0],
                half: [0.3, 0.25],
                radiance: [13.0, 11.0, 8.0],
            },
            spheres: vec![
                sphere(
                    [-0.48, -0.6, -0.4],
                    0.4,
                    [0.9, 0.8, 0.6],
                    0.15,
                    Material::Metal,
                ),
                sphere([0.45, -0.65, 0.2], 0.35, [0.98; 3], 0.0, Material::Glass),
                sphere(
                    [-0.2, -0.78, 0.5],
                    0.22,
                    [0.15, 0.3, 0.7],
                    0.05,
                    Material::Coated,
                ),
            ],
            camera: Camera {
                orbit: 0.0,
                height: 0.0,
                distance: 3.4,
                field: 0.42,
            },
        }
    }

    /// Another box for each seed: other colours, lamp, spheres and camera.
    pub fn random(seed: u64) -> Self {
        let mut draw = Draws::new(seed);
        let walls = std::array::from_fn(|_| match draw.one_of(3) {
            0 => [draw.between(0.3, 0.85); 3],
            _ => std::array::from_fn(|_| draw.between(0.04, 0.85)),
        });
        let half = [draw.between(0.15, 0.5), draw.between(0.15, 0.5)];
        // A small lamp is a bright one, so that rooms are about as bright as each other.
        let power = draw.between(0.5, 1.5) * 0.9 / (half[0] * half[1]);
        let lamp = Lamp {
            centre: half.map(|half| draw.between(half - 0.95, 0.95 - half)),
            half,
            radiance: std::array::from_fn(|_| power * draw.between(0.6, 1.0)),
        };
        let count = 2 + draw.one_of(MOST_SPHERES - 1);
        let spheres = (0..count).map(|_| random_sphere(&mut draw)).collect();
        let camera = Camera {
            orbit: draw.between(-0.5, 0.5),
            height: draw.between(-0.5, 0.6),
            distance: draw.between(2.4, 3.6),
            field: draw.between(0.3, 0.45),
        };
        Self {
            walls,
            lamp,
            spheres,
            camera,
        }
    }
}

fn random_sphere(draw: &mut Draws) -> Sphere {
    let radius = draw.between(0.12, 0.45);
    let most = 0.98 - radius;
    let mut centre = std::array::from_fn(|_| draw.between(-most, most));
    // Most of them lie on the floor.
    if draw.one_of(4) > 0 {
        centre[1] = radius - 1.0;
    }
    let material = match draw.one_of(5) {
        0 => Material::Diffuse,
        1 => Material::Metal,
        2 | 3 => Material::Glass,
        _ => Material::Coated,
    };
    let least = match material {
        Material::Glass => 0.9,
        Material::Metal => 0.5,
        Material::Diffuse | Material::Coated => 0.05,
    };
    Sphere {
        centre,
        radius,
        colour: std::array::from_fn(|_| draw.between(least, 0.98)),
        roughness: draw.between(0.0, 0.5),
        material,
    }
}

/// Random numbers for scenes and batches: SplitMix64 (Steele et al. 2014).
#[derive(Debug)]
pub struct Draws(u64);

impl Draws {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform between two numbers.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        let share = (self.next() >> 40) as f32 / (1u32 << 24) as f32;
        low + (high - low) * share
    }

    /// Uniform below `count`; 0 if that is 0.
    pub fn one_of(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }
}
