//! Which texels an output reads along one axis, in whole numbers.

use super::TexelResize;

/// Texels `first`, `first + 1`, ... with their weights, for output `o` of `outputs` over `size`
/// texels: the nearest one, the two around its middle, or all under it.
pub(super) fn places(
    resize: TexelResize,
    o: usize,
    outputs: usize,
    size: usize,
) -> Vec<(usize, f64)> {
    let middle = (2 * o + 1) * size;
    match resize {
        TexelResize::Nearest => vec![(middle / (2 * outputs), 1.0)],
        TexelResize::Bilinear => {
            let place = middle.max(outputs) - outputs;
            let first = place / (2 * outputs);
            if first + 1 >= size {
                return vec![(size - 1, 1.0)];
            }
            let above = (place % (2 * outputs)) as f64 / (2 * outputs) as f64;
            vec![(first, 1.0 - above), (first + 1, above)]
        }
        TexelResize::Area => {
            let (begin, end) = (o * size, (o + 1) * size);
            let under = begin / outputs..=(end - 1) / outputs;
            let share = |texel: usize| {
                let covered = end.min((texel + 1) * outputs) - begin.max(texel * outputs);
                (texel, covered as f64 / size as f64)
            };
            under.map(share).collect()
        }
    }
}

/// The most texels that an output reads along an axis.
pub(super) fn most_places(resize: TexelResize, outputs: usize, size: usize) -> u64 {
    match resize {
        TexelResize::Nearest => 1,
        TexelResize::Bilinear => 2,
        TexelResize::Area => size.div_ceil(outputs) as u64 + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_an_output_make_one() {
        for resize in [
            TexelResize::Nearest,
            TexelResize::Bilinear,
            TexelResize::Area,
        ] {
            for (outputs, size) in [
                (1, 1),
                (1, 7),
                (7, 1),
                (3, 5),
                (5, 3),
                (4, 8),
                (8, 4),
                (6, 6),
            ] {
                for o in 0..outputs {
                    let places = places(resize, o, outputs, size);
                    let sum: f64 = places.iter().map(|place| place.1).sum();
                    assert!(
                        (sum - 1.0).abs() < 1e-12,
                        "{resize:?} {o}/{outputs} of {size}"
                    );
                    assert!(
                        places
                            .iter()
                            .all(|&(texel, share)| texel < size && share >= 0.0)
                    );
                    assert!(places.len() as u64 <= most_places(resize, outputs, size));
                }
            }
        }
    }

    #[test]
    fn areas_are_means_where_sizes_divide() {
        let half = places(TexelResize::Area, 1, 4, 8);
        assert_eq!(half, [(2, 0.5), (3, 0.5)]);
        assert_eq!(places(TexelResize::Bilinear, 1, 4, 8), half);
        assert_eq!(places(TexelResize::Nearest, 1, 4, 8), [(3, 1.0)]);
    }
}
