//! How parameters begin, by PyTorch's `torch.nn.init`.

use crate::error::{Error, Result};
use crate::graph::Init;
use crate::shape::Shape;

/// The gain of relu: the square root of 2.
pub const RELU_GAIN: f32 = std::f32::consts::SQRT_2;

/// Which fan a Kaiming initialisation keeps the variance by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fan {
    /// Inputs per output: keeps activations.
    In,
    /// Outputs per input: keeps gradients.
    Out,
}

/// How a weight is drawn, given its shape `[out, in, ...]`.
#[derive(Debug, Clone)]
pub enum Scheme {
    /// PyTorch's default for convolution and linear layers: U(-b, b) with b = 1 / sqrt(fan in).
    Default,
    /// U(-b, b) with b = gain * sqrt(3 / fan).
    KaimingUniform {
        /// Which fan.
        fan: Fan,
        /// Gain of the nonlinearity that follows.
        gain: f32,
    },
    /// N(0, s^2) with s = gain / sqrt(fan).
    KaimingNormal {
        /// Which fan.
        fan: Fan,
        /// Gain of the nonlinearity that follows.
        gain: f32,
    },
    /// U(-b, b) with b = gain * sqrt(6 / (fan in + fan out)).
    XavierUniform {
        /// Gain of the nonlinearity that follows.
        gain: f32,
    },
    /// N(0, s^2) with s = gain * sqrt(2 / (fan in + fan out)).
    XavierNormal {
        /// Gain of the nonlinearity that follows.
        gain: f32,
    },
    /// Whatever the shape is.
    Given(Init),
}

impl Scheme {
    /// Kaiming normal by fan out with the gain of relu: what residual networks start from.
    pub fn kaiming_relu() -> Self {
        Scheme::KaimingNormal {
            fan: Fan::Out,
            gain: RELU_GAIN,
        }
    }

    /// The initial value of a weight `[out, in, ...]`.
    pub fn init(&self, weight: &Shape) -> Result<Init> {
        let fan = |fan: Fan| -> Result<f64> {
            let (fan_in, fan_out) = fans(weight)?;
            Ok(match fan {
                Fan::In => fan_in,
                Fan::Out => fan_out,
            })
        };
        let both = || -> Result<f64> { Ok(fan(Fan::In)? + fan(Fan::Out)?) };
        let uniform = |bound: f64| Init::Uniform {
            bound: bound as f32,
        };
        let normal = |std: f64| Init::Normal { std: std as f32 };
        Ok(match *self {
            Scheme::Default => uniform((1.0 / fan(Fan::In)?).sqrt()),
            Scheme::KaimingUniform { fan: by, gain } => {
                uniform(f64::from(gain) * (3.0 / fan(by)?).sqrt())
            }
            Scheme::KaimingNormal { fan: by, gain } => {
                normal(f64::from(gain) * (1.0 / fan(by)?).sqrt())
            }
            Scheme::XavierUniform { gain } => uniform(f64::from(gain) * (6.0 / both()?).sqrt()),
            Scheme::XavierNormal { gain } => normal(f64::from(gain) * (2.0 / both()?).sqrt()),
            Scheme::Given(ref init) => init.clone(),
        })
    }
}

/// Inputs per output and outputs per input of a weight `[out, in, ...]`, each at least 1.
pub fn fans(weight: &Shape) -> Result<(f64, f64)> {
    let [fan_out, fan_in, field @ ..] = &weight[..] else {
        return Err(Error::shape(format!(
            "init: weight {weight} has no fans, [out, in, ...] is needed"
        )));
    };
    let field: f64 = field.iter().map(|&extent| extent as f64).product();
    let fan = |features: usize| (features as f64 * field).max(1.0);
    Ok((fan(*fan_in), fan(*fan_out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(scheme: Scheme, shape: [usize; 4]) -> f32 {
        match scheme.init(&shape.into()).unwrap() {
            Init::Uniform { bound } => bound,
            Init::Normal { std } => std,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bounds_follow_the_formulas() {
        // fan in 3 * 25 = 75, fan out 5 * 25 = 125.
        let shape = [5, 3, 5, 5];
        let close = |scheme: Scheme, wanted: f64| {
            let found = f64::from(number(scheme.clone(), shape));
            assert!(
                (found - wanted).abs() < 1e-7,
                "{scheme:?}: {found}, not {wanted}"
            );
        };
        close(Scheme::Default, 1.0 / 75f64.sqrt());
        let (fan, gain) = (Fan::In, 1.0);
        close(Scheme::KaimingUniform { fan, gain }, 0.2);
        close(Scheme::KaimingNormal { fan, gain }, 1.0 / 75f64.sqrt());
        close(Scheme::kaiming_relu(), (2f64 / 125.0).sqrt());
        close(
            Scheme::XavierUniform { gain: 2.0 },
            2.0 * (6f64 / 200.0).sqrt(),
        );
        close(Scheme::XavierNormal { gain }, 0.1);
    }

    #[test]
    fn a_row_has_no_fans() {
        let error = Scheme::Default.init(&[7].into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "init: weight [7] has no fans, [out, in, ...] is needed"
        );
    }
}
