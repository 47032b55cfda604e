//! Red, green and blue of luma and chroma, by ITU-R BT.601, BT.709 and BT.2020.

/// The numbers that black and white have in the planes of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoRange {
    /// Luma from 16 to 235 of 255, chroma from 16 to 240: most video.
    Limited,
    /// From 0 to 255: JPEG, some cameras.
    Full,
}

impl VideoRange {
    /// Rows for red, green and blue over (luma, blue chroma, red chroma, 1), the planes as numbers
    /// from 0 to 1. `red` and `blue` are their shares of luma, K_R and K_B: 0.299 and 0.114 by
    /// BT.601, 0.2126 and 0.0722 by BT.709, 0.2627 and 0.0593 by BT.2020.
    ///
    /// With E = (Y - black) / luma range and P = (C - 128/255) / chroma range: R = E + 2 (1 - K_R)
    /// P_R, B = E + 2 (1 - K_B) P_B, and K_R R + K_G G + K_B B = E.
    pub(super) fn matrix(self, red: f64, blue: f64) -> [[f64; 4]; 3] {
        let (black, luma, chroma) = match self {
            Self::Limited => (16.0 / 255.0, 255.0 / 219.0, 255.0 / 224.0),
            Self::Full => (0.0, 1.0, 1.0),
        };
        let green = 1.0 - red - blue;
        let (r, b) = (2.0 * (1.0 - red) * chroma, 2.0 * (1.0 - blue) * chroma);
        let row = |pb: f64, pr: f64| {
            let middle = 128.0 / 255.0;
            [luma, pb, pr, -luma * black - middle * (pb + pr)]
        };
        [
            row(0.0, r),
            row(-b * blue / green, -r * red / green),
            row(b, 0.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(matrix: [[f64; 4]; 3], bytes: [f64; 3]) -> [f64; 3] {
        let planes = [bytes[0] / 255.0, bytes[1] / 255.0, bytes[2] / 255.0, 1.0];
        matrix.map(|row| row.iter().zip(planes).map(|(a, b)| a * b).sum())
    }

    #[test]
    fn black_white_and_the_published_red_of_bt601() {
        let matrix = VideoRange::Limited.matrix(0.299, 0.114);
        for (bytes, colour) in [
            ([16.0, 128.0, 128.0], [0.0, 0.0, 0.0]),
            ([235.0, 128.0, 128.0], [1.0, 1.0, 1.0]),
            // The colour bars of BT.601: full red is (81, 90, 240).
            ([81.0, 90.0, 240.0], [1.0, 0.0, 0.0]),
        ] {
            let got = apply(matrix, bytes);
            for (got, want) in got.iter().zip(colour) {
                assert!((got - want).abs() < 0.01, "{bytes:?}: {got} {want}");
            }
        }
        let full = apply(VideoRange::Full.matrix(0.299, 0.114), [76.0, 85.0, 255.0]);
        assert!((full[0] - 1.0).abs() < 0.01 && full[1].abs() < 0.01 && full[2].abs() < 0.01);
    }
}
