//! Between the light of a texel and the numbers of a network: shaders/texture/transfer.wgsl.

/// ln(1 + 65504), of the largest number of half precision.
const LOG_RANGE: f64 = 11.089_881_754_587_77;

/// What stands between a texel and a number of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transfer {
    /// Nothing.
    #[default]
    Linear,
    /// In: cut to [0, 1], for albedo. Out: nothing.
    Clamp,
    /// In: from [0, 1] to [-1, 1], for normals that are stored as n / 2 + 1/2. Out: back.
    Signed,
    /// In: linear light as sRGB, cut to [0, 1] (IEC 61966-2-1), for networks that were trained on
    /// pictures of files. Out: back.
    Srgb,
    /// In: ln(1 + x) / ln(65505) of linear light without bounds, negative light as 0, for HDR: half
    /// precision fills [0, 1]. Out: back.
    Log,
}

/// How light is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Curve {
    /// As it is.
    #[default]
    Linear,
    /// As sRGB (IEC 61966-2-1), cut to [0, 1].
    Srgb,
    /// Through Narkowicz's fit of the curve of ACES (2015), then as sRGB: HDR light on a display.
    AcesSrgb,
}

impl Transfer {
    /// Its number in shaders; `exposed` light is multiplied by the exposure.
    pub(super) fn code(self, exposed: bool) -> usize {
        self as usize + if exposed { 8 } else { 0 }
    }

    /// A texel as a number.
    pub(super) fn apply(self, texel: f64) -> f64 {
        match self {
            Self::Linear => texel,
            Self::Clamp => texel.clamp(0.0, 1.0),
            Self::Signed => 2.0 * texel - 1.0,
            Self::Srgb => srgb(texel),
            Self::Log => texel.max(0.0).ln_1p() / LOG_RANGE,
        }
    }

    /// A number as light.
    pub(super) fn restore(self, number: f64) -> f64 {
        match self {
            Self::Linear | Self::Clamp => number,
            Self::Signed => 0.5 * number + 0.5,
            Self::Srgb => {
                let v = number.clamp(0.0, 1.0);
                match v <= 0.04045 {
                    true => v / 12.92,
                    false => ((v + 0.055) / 1.055).powf(2.4),
                }
            }
            Self::Log => (number.clamp(0.0, 1.0) * LOG_RANGE).exp_m1(),
        }
    }
}

impl Curve {
    /// Light as it is shown.
    pub(super) fn apply(self, light: f64) -> f64 {
        let x = light.max(0.0);
        match self {
            Self::Linear => light,
            Self::Srgb => srgb(x),
            Self::AcesSrgb => {
                let y = x.min(1e4);
                srgb(y * (2.51 * y + 0.03) / (y * (2.43 * y + 0.59) + 0.14))
            }
        }
    }
}

/// Light as sRGB.
fn srgb(light: f64) -> f64 {
    let x = light.clamp(0.0, 1.0);
    match x <= 0.003_130_8 {
        true => 12.92 * x,
        false => 1.055 * x.powf(1.0 / 2.4) - 0.055,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_undoes_in() {
        for transfer in [
            Transfer::Linear,
            Transfer::Signed,
            Transfer::Srgb,
            Transfer::Log,
        ] {
            for light in [0.0, 0.001, 0.02, 0.18, 0.5, 1.0] {
                let back = transfer.restore(transfer.apply(light));
                // The two pieces of sRGB meet within 1e-6 of each other.
                assert!((back - light).abs() < 1e-6, "{transfer:?} {light} {back}");
            }
        }
        let bright = Transfer::Log.restore(Transfer::Log.apply(3000.0));
        assert!((bright - 3000.0).abs() < 1e-6);
    }

    #[test]
    fn published_values_of_srgb_and_the_curve() {
        assert!((srgb(0.214_041_14) - 0.5).abs() < 1e-6);
        assert_eq!(srgb(0.0), 0.0);
        assert!((srgb(1.0) - 1.0).abs() < 1e-12);
        // 0.8 of white by the fit: (2.51 + 0.03) / (2.43 + 0.59 + 0.14).
        let film = 2.54 / 3.16;
        assert!((Curve::AcesSrgb.apply(1.0) - srgb(film)).abs() < 1e-12);
    }
}
