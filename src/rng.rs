//! Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
//! easy as 1, 2, 3").
//!
//! The same words come out of `shaders/lib/philox.wgsl`, bit for bit. A draw is a pure function of
//! (seed, stream, step, index): nothing is stored, and seed and step alone repeat it.

/// Ten rounds of Philox 4x32.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = u64::from(c0) * 0xD251_1F53;
        let p1 = u64::from(c2) * 0xCD9E_8D57;
        (c0, c1, c2, c3) = (
            (p1 >> 32) as u32 ^ c1 ^ k0,
            p1 as u32,
            (p0 >> 32) as u32 ^ c3 ^ k1,
            p0 as u32,
        );
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// A uniform `f32` in [0, 1): 23 bits of `word` in the mantissa of a number in [1, 2), minus 1.
pub fn unit_f32(word: u32) -> f32 {
    f32::from_bits(word >> 9 | 0x3F80_0000) - 1.0
}

/// One sequence of random words: the draws of one stream at one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    seed: [u32; 2],
    stream: u32,
    step: u32,
}

impl Stream {
    /// The sequence keyed by `seed`, `stream` and `step`.
    pub fn new(seed: u64, stream: u32, step: u32) -> Self {
        Self {
            seed: [seed as u32, (seed >> 32) as u32],
            stream,
            step,
        }
    }

    /// Word number `index`.
    pub fn word(&self, index: u64) -> u32 {
        let block = index / 4;
        let counter = [block as u32, (block >> 32) as u32, self.stream, self.step];
        philox4x32(counter, self.seed)[(index % 4) as usize]
    }

    /// Uniform `f32` in [0, 1) number `index`.
    pub fn unit(&self, index: u64) -> f32 {
        unit_f32(self.word(index))
    }

    /// Normal number `index`, of mean 0 and this deviation: Box-Muller, on two words for each.
    pub fn normal(&self, index: u64, deviation: f64) -> f64 {
        let radius = (-2.0 * f64::ln(1.0 - f64::from(self.unit(2 * index)))).sqrt();
        let angle = std::f64::consts::TAU * f64::from(self.unit(2 * index + 1));
        deviation * radius * angle.cos()
    }
}

/// The stream of a named state: FNV-1a of its name, so that initial values do not depend on
/// declaration order.
pub fn stream_of(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known-answer vectors of the Random123 distribution.
    #[test]
    fn philox_known_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
            ),
            (
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0],
                [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
            ),
        ];
        for (counter, key, words) in cases {
            assert_eq!(philox4x32(counter, key), words);
        }
    }

    #[test]
    fn unit_covers_zero_to_one() {
        assert_eq!(unit_f32(0), 0.0);
        assert_eq!(unit_f32(u32::MAX), 1.0 - f32::EPSILON);
    }

    #[test]
    fn normal_numbers_have_their_mean_and_deviation() {
        let stream = Stream::new(1, 2, 3);
        let numbers: Vec<f64> = (0..20_000).map(|index| stream.normal(index, 2.0)).collect();
        let mean = |of: &dyn Fn(f64) -> f64| numbers.iter().map(|&x| of(x)).sum::<f64>() / 20_000.0;
        assert!(mean(&|x| x).abs() < 0.05);
        assert!((mean(&|x| x * x).sqrt() - 2.0).abs() < 0.03);
        // 68.3 % within one deviation.
        assert!((mean(&|x| f64::from(u8::from(x.abs() < 2.0))) - 0.683).abs() < 0.01);
    }
}
