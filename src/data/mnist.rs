//! Sets of the MNIST family: which files they lie in, and what their labels mean.

use std::path::{Path, PathBuf};

use super::idx::{read_images, read_labels};
use super::{Dataset, Split};
use crate::error::{ErrorKind, Result};
use crate::file::error;

/// Classes of MNIST.
const MNIST_CLASSES: usize = 10;

/// Where torchvision puts what it downloads: `torchvision.datasets.MNIST(root)` writes
/// `root/MNIST/raw`.
const MNIST_FOLDERS: [&str; 5] = ["", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"];

/// Where EMNIST's files lie: as for MNIST, or as its own archive is unpacked.
const EMNIST_FOLDERS: [&str; 4] = ["", "raw", "EMNIST/raw", "gzip"];

/// The sets of EMNIST (Cohen et al. 2017, "EMNIST: an extension of MNIST to handwritten letters").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Emnist {
    /// Digits, capital and small letters: 62 classes.
    ByClass,
    /// The same, where capital and small letters that look alike are one class: 47 classes.
    ByMerge,
    /// The classes of `ByMerge`, equally many images of each.
    Balanced,
    /// Letters, capital or small: 26 classes, 0 for A.
    Letters,
    /// Digits.
    Digits,
    /// Digits, as many as in MNIST.
    Mnist,
}

impl Emnist {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ByClass,
        Self::ByMerge,
        Self::Balanced,
        Self::Letters,
        Self::Digits,
        Self::Mnist,
    ];

    /// Its name in the names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ByClass => "byclass",
            Self::ByMerge => "bymerge",
            Self::Balanced => "balanced",
            Self::Letters => "letters",
            Self::Digits => "digits",
            Self::Mnist => "mnist",
        }
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            Self::ByClass => 62,
            Self::ByMerge | Self::Balanced => 47,
            Self::Letters => 26,
            Self::Digits | Self::Mnist => 10,
        }
    }

    /// The label of class 0 in its files.
    fn first(self) -> u8 {
        match self {
            Self::Letters => 1,
            _ => 0,
        }
    }
}

/// Reads MNIST, or a set in its format such as Fashion-MNIST: ten classes, in the four files
/// `{train,t10k}-images-idx3-ubyte` and `{train,t10k}-labels-idx1-ubyte` of `dir`, or of the folder
/// below it in which torchvision puts them (`raw`, `MNIST/raw`, `FashionMNIST/raw`, ...).
///
/// Each may end in `.gz`, and may have a dot instead of the second hyphen
/// (`train-images.idx3-ubyte`). A raw file is preferred to a gzipped one.
///
/// # Errors
/// A missing directory or file, the errors of [`read_images`], another number of labels than of
/// images, a label above 9, or test images of another size than the training images.
pub fn load_mnist(dir: &Path) -> Result<Split> {
    let folder = folder(dir, &MNIST_FOLDERS, "train")?;
    load(&folder, ["train", "t10k"], 0, MNIST_CLASSES)
}

/// The classes of Fashion-MNIST (Xiao et al. 2017, "Fashion-MNIST: a novel image dataset for
/// benchmarking machine learning algorithms").
pub const FASHION_NAMES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Where Debian's package `dataset-fashion-mnist` puts its files.
const FASHION_FOLDER: &str = "/usr/share/datasets/fashion-mnist";

/// Reads Fashion-MNIST, with the names of its classes, as Debian's package `dataset-fashion-mnist`
/// installs it. Files that lie elsewhere are read by [`load_mnist`].
///
/// # Errors
/// `Io` if it is not installed; as [`load_mnist`].
pub fn load_fashion() -> Result<Split> {
    fashion(Path::new(FASHION_FOLDER))
}

fn fashion(dir: &Path) -> Result<Split> {
    if !dir.is_dir() {
        let message = "Fashion-MNIST is not here: on Debian the package dataset-fashion-mnist \
                       brings it (apt-get install dataset-fashion-mnist); load_mnist reads its \
                       four files from any other folder";
        return Err(error(ErrorKind::Io, dir, message));
    }
    let Split { train, test } = load_mnist(dir)?;
    Ok(Split {
        train: train.with_names(FASHION_NAMES)?,
        test: test.with_names(FASHION_NAMES)?,
    })
}

/// Reads a set of EMNIST from the four files `emnist-{name}-{train,test}-images-idx3-ubyte` and
/// `-labels-idx1-ubyte` of `dir`, or of the folder `raw`, `EMNIST/raw` or `gzip` below it.
///
/// Its files hold the images transposed; here they stand upright, as MNIST's do. Labels of letters
/// are 1 to 26 in the files and 0 to 25 here.
///
/// # Errors
/// As [`load_mnist`].
pub fn load_emnist(dir: &Path, set: Emnist) -> Result<Split> {
    let [train, test] = ["train", "test"].map(|part| format!("emnist-{}-{part}", set.name()));
    let folder = folder(dir, &EMNIST_FOLDERS, &train)?;
    let mut split = load(&folder, [&train, &test], set.first(), set.classes())?;
    for part in [&mut split.train, &mut split.test] {
        transpose(part);
    }
    Ok(split)
}

/// Reads the set of the MNIST family that `dir` holds: as [`load_mnist`], or where it has no such
/// files as [`load_emnist`].
///
/// # Errors
/// As [`load_mnist`]; `Io` if several sets of EMNIST are there.
pub fn load_dir(dir: &Path) -> Result<Split> {
    let there = |folders: &[&str], part: &str| {
        let stem = format!("{part}-images");
        let mut folders = folders.iter().map(|folder| dir.join(folder));
        folders.any(|folder| !candidates(&folder, &stem, IMAGES).is_empty())
    };
    let emnist: Vec<Emnist> = Emnist::ALL
        .into_iter()
        .filter(|set| there(&EMNIST_FOLDERS, &format!("emnist-{}-train", set.name())))
        .collect();
    match emnist[..] {
        _ if there(&MNIST_FOLDERS, "train") => load_mnist(dir),
        [] => load_mnist(dir),
        [set] => load_emnist(dir, set),
        _ => {
            let names: Vec<&str> = emnist.iter().map(|set| set.name()).collect();
            let message = format!(
                "holds several sets of EMNIST, {}: load_emnist reads the one that is named",
                names.join(", ")
            );
            Err(error(ErrorKind::Io, dir, message))
        }
    }
}

const IMAGES: &str = "idx3-ubyte";
const LABELS: &str = "idx1-ubyte";

/// The first of `folders` below `dir` with a file of images of `part`, else `dir` itself.
fn folder(dir: &Path, folders: &[&str], part: &str) -> Result<PathBuf> {
    if !dir.is_dir() {
        return Err(error(ErrorKind::Io, dir, "no such directory"));
    }
    let stem = format!("{part}-images");
    let mut below = folders.iter().map(|folder| dir.join(folder));
    let found = below.find(|folder| !candidates(folder, &stem, IMAGES).is_empty());
    Ok(found.unwrap_or(dir.to_owned()))
}

fn load(dir: &Path, [train, test]: [&str; 2], first: u8, classes: usize) -> Result<Split> {
    let split = Split {
        train: load_part(dir, train, first, classes)?,
        test: load_part(dir, test, first, classes)?,
    };
    split.check().map_err(|e| e.context(dir.display()))?;
    Ok(split)
}

/// A set whose labels begin with `first`.
fn load_part(dir: &Path, part: &str, first: u8, classes: usize) -> Result<Dataset> {
    let images = read_images(&locate(dir, &format!("{part}-images"), IMAGES)?)?;
    let path = locate(dir, &format!("{part}-labels"), LABELS)?;
    let labels = read_labels(&path)?;
    let wrong = |message| Err(error(ErrorKind::Data, &path, message));
    if labels.len() != images.count {
        let message = format!("{} labels for {} images", labels.len(), images.count);
        return wrong(message);
    }
    let end = usize::from(first) + classes;
    for (index, &label) in labels.iter().enumerate() {
        if label < first {
            return wrong(format!("label {label} of image {index} is below {first}"));
        }
        if usize::from(label) >= end {
            return wrong(format!("label {label} of image {index} is not below {end}"));
        }
    }
    let labels = labels.iter().map(|&label| u32::from(label - first));
    let size = [1, images.height, images.width];
    Dataset::new(images.pixels, labels.collect(), size, classes)
        .map_err(|e| e.context(path.display()))
}

/// Exchanges rows and columns of each image.
fn transpose(set: &mut Dataset) {
    let (height, width) = (set.height, set.width);
    let mut upright = vec![0; height * width];
    for image in set.images.chunks_exact_mut(height * width) {
        for (at, pixel) in upright.iter_mut().enumerate() {
            *pixel = image[at % height * width + at / height];
        }
        image.copy_from_slice(&upright);
    }
    (set.height, set.width) = (width, height);
}

/// What `dir` holds under the names that the file `{stem}-{suffix}` may have, regular files first.
fn candidates(dir: &Path, stem: &str, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for end in ["", ".gz"] {
        for separator in ["-", "."] {
            let path = dir.join(format!("{stem}{separator}{suffix}{end}"));
            if path.exists() {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|path| !path.is_file());
    found
}

/// The file `{stem}-{suffix}` of `dir`, under any of the names in use.
fn locate(dir: &Path, stem: &str, suffix: &str) -> Result<PathBuf> {
    let first = candidates(dir, stem, suffix).into_iter().next();
    first.ok_or_else(|| {
        let message = format!("no file {stem}-{suffix} or {stem}-{suffix}.gz");
        error(ErrorKind::Io, dir, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fashion_says_where_it_comes_from() {
        let error = fashion(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let message = error.to_string();
        assert!(
            message.contains("package dataset-fashion-mnist"),
            "{message}"
        );
        if !Path::new(FASHION_FOLDER).is_dir() {
            println!("SKIPPED: {error}");
            return;
        }
        let split = load_fashion().unwrap();
        assert_eq!((split.train.count, split.test.count), (60_000, 10_000));
        assert_eq!(split.train.labels[..5], [9, 0, 0, 3, 0]);
        assert_eq!(split.test.class_names[9], "Ankle boot");
        let of_each = |class: u32| split.test.labels.iter().filter(|&&l| l == class).count();
        assert!((0..10).all(|class| of_each(class) == 1000));
    }
}
