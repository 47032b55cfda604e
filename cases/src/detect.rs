//! Non-maximum suppression.

use striate::check::{Case, Draw, drawn, real};
use striate::error::Result;
use striate::graph::{Graph, Value};

/// Boxes from their upper left corners and their sizes.
fn boxes(g: &mut Graph, corner: Value, size: Value) -> Result<Value> {
    let other = g.add(corner, size)?;
    g.concat(&[corner, other], 1)
}

pub fn detect() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        (1, 0.5, 1),
        (2, 0.5, 2),
        (31, 0.5, 31),
        (32, 0.25, 5),
        (33, 0.0, 40),
        (64, 1.0, 64),
        (100, 0.25, 100),
        (600, 0.5, 20),
        (2100, 0.5, 2100),
        (0, 0.5, 3),
        (5, 0.5, 0),
    ];
    for (n, threshold, most) in sizes {
        let inputs = || {
            vec![
                drawn([n, 2], Draw::Between(-2.0, 3.0)),
                drawn([n, 2], Draw::Between(0.25, 4.0)),
            ]
        };
        let case = |kind: &str, scores: Draw| {
            let name = format!("nms/{kind}{n} boxes/{threshold} of {most}");
            let inputs = [inputs(), vec![drawn([n], scores)]].concat();
            let case = Case::new(name, inputs, move |g, v| {
                let boxes = boxes(g, v[0], v[1])?;
                let (indices, count) = g.nms(boxes, v[2], threshold, most)?;
                Ok(vec![indices, count])
            });
            // Sixteen boxes fill the least part; a walk over 300 is the longest that is checked.
            let case = match n > 16 {
                true => case.whole("nms does not work on parts"),
                false => case,
            };
            match n > 290 {
                true => case.uncut("an invocation of kernel nms_rank takes"),
                false => case,
            }
        };
        cases.push(case("", Draw::Real));
        // Equal scores, NaN and infinities.
        cases.push(case("special/scores/", Draw::Special));
    }
    let inputs = vec![drawn([40, 4], Draw::Special), real([40])];
    let case = Case::new("nms/special/boxes", inputs, |g, v| {
        let (indices, count) = g.nms(v[0], v[1], 0.5, 40)?;
        Ok(vec![indices, count])
    });
    cases.push(case.whole("nms does not work on parts"));
    cases
}
