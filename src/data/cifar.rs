//! CIFAR-10 and CIFAR-100 in their binary versions (Krizhevsky 2009, "Learning multiple layers of
//! features from tiny images").

use std::path::{Path, PathBuf};

use super::{Dataset, Split};
use crate::error::{ErrorKind, Result};
use crate::file::{described, error, read_file};

/// Channels, height and width.
const SIZE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
/// A file of CIFAR-100 has 50,000 records; one that is longer is none of these.
const MOST_BYTES: u64 = 256 << 20;

/// The classes of CIFAR-10.
pub const CIFAR10_NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Which labels of CIFAR-100 count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cifar100 {
    /// Its 100 classes.
    Fine,
    /// The 20 superclasses of five each.
    Coarse,
}

/// CIFAR-10 from its binary version: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`,
/// in `dir` or in the folder `cifar-10-batches-bin` below it.
///
/// # Errors
/// `Io` if a file is not there or cannot be read; `Data`, with the file and the numbers, if its
/// size is no multiple of a record's or a label is not below 10.
pub fn load_cifar10(dir: impl AsRef<Path>) -> Result<Split> {
    let dir = below(dir.as_ref(), "cifar-10-batches-bin", "test_batch.bin");
    let parts = (1..=5).map(|number| dir.join(format!("data_batch_{number}.bin")));
    let of = |files: Vec<PathBuf>| {
        let set = records(&files, 1, 0, 10)?;
        set.with_names(CIFAR10_NAMES)
    };
    Ok(Split {
        train: of(parts.collect())?,
        test: of(vec![dir.join("test_batch.bin")])?,
    })
}

/// CIFAR-100 from its binary version: `train.bin` and `test.bin`, in `dir` or in the folder
/// `cifar-100-binary` below it.
///
/// # Errors
/// As [`load_cifar10`], for 100 classes or 20.
pub fn load_cifar100(dir: impl AsRef<Path>, labels: Cifar100) -> Result<Split> {
    let dir = below(dir.as_ref(), "cifar-100-binary", "test.bin");
    let (place, classes) = match labels {
        Cifar100::Coarse => (0, 20),
        Cifar100::Fine => (1, 100),
    };
    let of = |file: &str| records(&[dir.join(file)], 2, place, classes);
    Ok(Split {
        train: of("train.bin")?,
        test: of("test.bin")?,
    })
}

/// The folder that holds a file: `dir`, or one below it.
fn below(dir: &Path, folder: &str, file: &str) -> PathBuf {
    let inside = dir.join(folder);
    match !dir.join(file).exists() && inside.join(file).exists() {
        true => inside,
        false => dir.to_owned(),
    }
}

/// The images of some files: each record is so many labels, of which the one at `place` counts, and
/// the pixels.
fn records(files: &[PathBuf], labels: usize, place: usize, classes: usize) -> Result<Dataset> {
    let record = labels + PIXELS;
    let (mut images, mut found) = (Vec::new(), Vec::new());
    for path in files {
        let bytes = read_file(path, MOST_BYTES)?;
        let wrong = |message: String| error(ErrorKind::Data, path, message);
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let what = described(&bytes).map_or_else(String::new, |what| format!(" it is {what};"));
            return Err(wrong(format!(
                "{what} {} bytes are no records of {record}, {labels} for the label and {PIXELS} \
                 pixels",
                bytes.len()
            )));
        }
        for (index, record) in bytes.chunks_exact(record).enumerate() {
            let (own, pixels) = record.split_at(labels);
            let label = own[place];
            if usize::from(label) >= classes {
                return Err(wrong(format!(
                    "label {label} of image {index} is not below {classes}"
                )));
            }
            found.push(u32::from(label));
            images.extend_from_slice(pixels);
        }
    }
    Dataset::new(images, found, SIZE, classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("striate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn record(labels: &[u8], pixel: u8) -> Vec<u8> {
        [labels.to_vec(), vec![pixel; PIXELS]].concat()
    }

    #[test]
    fn records_are_labels_and_planes() {
        let dir = folder("cifar10");
        let inside = dir.join("cifar-10-batches-bin");
        std::fs::create_dir_all(&inside).unwrap();
        for number in 1..=5u8 {
            let bytes = [record(&[number], number), record(&[9], 7)].concat();
            std::fs::write(inside.join(format!("data_batch_{number}.bin")), bytes).unwrap();
        }
        std::fs::write(inside.join("test_batch.bin"), record(&[0], 255)).unwrap();
        let split = load_cifar10(&dir).unwrap();
        assert_eq!(split.train.labels, [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
        assert_eq!(split.train.images[4 * PIXELS], 3);
        assert_eq!(split.test.images, vec![255; PIXELS]);
        assert_eq!(split.test.class_names[0], "airplane");
        split.check().unwrap();

        let test = inside.join("test_batch.bin");
        std::fs::write(&test, record(&[10], 0)).unwrap();
        let message = load_cifar10(&dir).unwrap_err().to_string();
        assert!(
            message.ends_with("label 10 of image 0 is not below 10"),
            "{message}"
        );
        std::fs::write(&test, [1; 100]).unwrap();
        let error = load_cifar10(&dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(
            error.to_string().contains("test_batch.bin: ")
                && error
                    .to_string()
                    .contains("100 bytes are no records of 3073"),
            "{error}"
        );
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(load_cifar10(&dir).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn fine_and_coarse_labels_lie_side_by_side() {
        let dir = folder("cifar100");
        std::fs::write(dir.join("train.bin"), record(&[19, 99], 1)).unwrap();
        std::fs::write(dir.join("test.bin"), record(&[3, 42], 2)).unwrap();
        let fine = load_cifar100(&dir, Cifar100::Fine).unwrap();
        let coarse = load_cifar100(&dir, Cifar100::Coarse).unwrap();
        assert_eq!((fine.train.labels[0], fine.test.labels[0]), (99, 42));
        assert_eq!((coarse.train.labels[0], coarse.test.labels[0]), (19, 3));
        assert_eq!((fine.train.classes, coarse.train.classes), (100, 20));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
