//! The matrices of classic image filters.

/// A filter: what each pixel becomes of itself and its neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Rows of the matrix, or of two whose results are the legs of a right triangle.
    pub matrices: Vec<Vec<f32>>,
    /// Rows and columns of each matrix.
    pub side: usize,
    /// What is added to each result.
    pub offset: f32,
}

/// Filters by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// The picture as it is
    Identity,
    /// The mean of the square around a pixel
    Box,
    /// A mean with binomial weights: blurs without corners
    Gaussian,
    /// A pixel five times, less its four neighbours
    Sharpen,
    /// How steep brightness is: the length of its gradient
    Sobel,
    /// Light from the top left, on grey
    Emboss,
}

impl Filter {
    /// The filter of this name; `side` (odd) counts for the means alone.
    pub fn named(name: Name, side: usize) -> Self {
        let one = |matrix: &[f32], offset: f32| Self {
            matrices: vec![matrix.to_vec()],
            side: 3,
            offset,
        };
        match name {
            Name::Identity => one(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], 0.0),
            Name::Sharpen => one(&[0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0], 0.0),
            Name::Emboss => one(&[-2.0, -1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 2.0], 0.5),
            Name::Box => Self::mean(&vec![1.0; side]),
            Name::Gaussian => Self::mean(&binomial(side)),
            Name::Sobel => {
                let across = vec![-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0];
                let down = vec![-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0];
                Self {
                    matrices: vec![across, down],
                    side: 3,
                    offset: 0.0,
                }
            }
        }
    }

    /// A matrix of one's own, its numbers row by row.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text
            .split([' ', ',', ';', '/', '\n'])
            .filter(|w| !w.is_empty());
        let numbers: Result<Vec<f32>, _> = words.map(str::parse::<f32>).collect();
        let matrix = numbers.map_err(|error| format!("{text:?}: {error}"))?;
        let side = matrix.len().isqrt();
        if side * side != matrix.len() || side % 2 == 0 || side > 31 {
            return Err(format!(
                "{} numbers; a matrix has an odd side up to 31, as 9 or 25 numbers do",
                matrix.len()
            ));
        }
        if let Some(number) = matrix.iter().find(|number| !number.is_finite()) {
            return Err(format!("{number} is no number to multiply with"));
        }
        Ok(Self {
            matrices: vec![matrix],
            side,
            offset: 0.0,
        })
    }

    /// Weights along both axes, of the sum 1.
    fn mean(weights: &[f32]) -> Self {
        let sum: f32 = weights.iter().sum();
        let row = |a: &f32| weights.iter().map(move |b| a * b / (sum * sum)).collect();
        let rows: Vec<Vec<f32>> = weights.iter().map(|a| row(&a.clone())).collect();
        Self {
            matrices: vec![rows.concat()],
            side: weights.len(),
            offset: 0.0,
        }
    }
}

/// Row `side` of Pascal's triangle.
fn binomial(side: usize) -> Vec<f32> {
    let mut row = vec![1.0];
    for _ in 1..side {
        let sums = row.windows(2).map(|pair| pair[0] + pair[1]);
        row = [vec![1.0], sums.collect(), vec![1.0]].concat();
    }
    row
}
