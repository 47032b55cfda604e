//! Convolutions over one axis, two and three.

use striate::ops::{Conv1d, Conv2d, Conv3d};
use striate::prelude::*;

use super::{Page, numbers};

pub fn show(page: &mut Page) -> Result<()> {
    let signal = [1.0, 2.0, 4.0, 7.0, 11.0];
    let kernel = [-1.0, 0.0, 1.0];
    let made = page.one(
        &[(&[1, 1, 5], &signal), (&[1, 1, 3], &kernel)],
        |g, given| g.conv1d(given[0], given[1], None, Conv1d::new()),
    )?;
    page.say(format!(
        "({}) with ({}): {}",
        numbers(&signal),
        numbers(&kernel),
        numbers(&made)
    ));
    let mut g = Graph::new();
    let sound = g.input("sound", Type::f32([1, 1, 8000]))?;
    let by_time = g.input("by_time", Type::f32([4, 1, 9]))?;
    let picture = g.input("picture", Type::f32([1, 3, 32, 32]))?;
    let by_place = g.input("by_place", Type::f32([4, 3, 3, 3]))?;
    let film = g.input("film", Type::f32([1, 3, 16, 32, 32]))?;
    let by_both = g.input("by_both", Type::f32([4, 3, 3, 3, 3]))?;
    let made = [
        (
            "sound",
            sound,
            by_time,
            g.conv1d(sound, by_time, None, Conv1d::new())?,
        ),
        (
            "picture",
            picture,
            by_place,
            g.conv2d(picture, by_place, None, Conv2d::new())?,
        ),
        (
            "film",
            film,
            by_both,
            g.conv3d(film, by_both, None, Conv3d::new())?,
        ),
    ];
    for (name, x, weights, y) in made {
        let [x, weights, y] = [x, weights, y].map(|value| g.shape(value).cloned());
        let weights = weights?;
        page.say(format!(
            "{name:8} {:20} weights {:18} = {:4} numbers, makes {}",
            x?.to_string(),
            weights.to_string(),
            weights.iter().product::<usize>(),
            y?
        ));
    }
    Ok(())
}
