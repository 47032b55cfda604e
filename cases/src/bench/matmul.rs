//! Products of matrices: square, skinny, fully connected layers, and ResNet-50's 1x1 convolutions
//! as products over a batch of 8.

use striate::check::{Bound, Case, real};

use super::{Bench, bytes, count};

/// Rows and columns of the result, terms of each sum.
const PRODUCTS: [[usize; 3]; 14] = [
    [1024, 1024, 1024],
    [4096, 4096, 4096],
    // LeNet-5.
    [128, 120, 400],
    [128, 84, 120],
    // ResNet-50: the classifier, then the bottlenecks of its four stages.
    [64, 1000, 2048],
    [25088, 64, 256],
    [25088, 256, 64],
    [6272, 512, 128],
    [1568, 1024, 256],
    [392, 2048, 512],
    // Skinny.
    [16, 4096, 4096],
    [1, 4096, 4096],
    [8192, 64, 64],
    [64, 64, 8192],
];

/// Batches, by their number of matrices: attention's scores over 8 heads of 8 sequences, and small
/// matrices.
const BATCHES: [[usize; 4]; 2] = [[64, 128, 128, 64], [512, 32, 32, 32]];

pub fn benches() -> Vec<Bench> {
    let mut all: Vec<Bench> = PRODUCTS.map(bench).into();
    all.extend(BATCHES.map(batch));
    all
}

fn batch([matrices, m, n, k]: [usize; 4]) -> Bench {
    let inputs = vec![real([matrices, m, k]), real([matrices, k, n])];
    let case = || {
        let name = format!("matmul/{matrices}x{m}x{n}x{k}");
        Case::new(name, inputs.clone(), |g, v| {
            Ok(vec![g.matmul(v[0], v[1], false, false)?])
        })
        .bound(Bound::Sum { k })
        .inexact()
    };
    Bench {
        name: case().name,
        flops: 2.0 * count(&[matrices, m, n, k]),
        bytes: bytes(&inputs, count(&[matrices, m, n])),
        sample: case(),
        case: case(),
    }
}

fn bench([m, n, k]: [usize; 3]) -> Bench {
    let case = |rows: usize| {
        let inputs = vec![real([rows, k]), real([k, n])];
        Case::new(format!("matmul/{rows}x{n}x{k}"), inputs, |g, v| {
            Ok(vec![g.matmul(v[0], v[1], false, false)?])
        })
        .bound(Bound::Sum { k })
        .inexact()
    };
    let full = case(m);
    Bench {
        name: full.name.clone(),
        flops: 2.0 * count(&[m, n, k]),
        bytes: bytes(&full.inputs, count(&[m, n])),
        sample: case(m.min((1 << 26) / (n * k)).max(1)),
        case: full,
    }
}
