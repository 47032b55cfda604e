//! Pictures in folders that are decoded when they are asked for.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{FolderOptions, checked_size, fitted};
use super::{Source, split_indices};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{error, io_error};

/// How the names of picture files end.
const PICTURES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// A folder that has one folder of pictures (png, jpeg, webp) for each class, of which only the
/// paths are in memory: a [`Source`] that decodes a picture when it is asked for.
///
/// ```no_run
/// use striate::data::{FolderOptions, Pictures, Split, sampled};
/// use striate::models::resnet18;
/// use striate::prelude::*;
/// use striate::train::{Classifier, Normalise, Streamed};
///
/// # fn main() -> Result<()> {
/// let pictures = Pictures::open("pictures", &FolderOptions::new([3, 224, 224]))?;
/// let (train, test) = pictures.split(0.1, 1)?;
/// // A sample of the training set says what images are like; the test set lies on the device.
/// let data = Split {
///     train: sampled(&train, 1000, 1)?,
///     test: sampled(&test, usize::MAX, 1)?,
/// };
/// let (engine, model) = (Engine::new()?, resnet18(data.train.classes));
/// let mut classifier = Classifier::builder(&engine, &model, &data)
///     .normalise(Normalise::imagenet())
///     .stream(Streamed::new(train))
///     .build()?;
/// classifier.train(classifier.steps_per_epoch())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    options: FolderOptions,
    files: Vec<(PathBuf, u32)>,
    class_names: Vec<String>,
    skipped: Vec<(PathBuf, String)>,
}

impl Pictures {
    /// Lists the pictures of a folder as [`load_folder`](super::load_folder) does, class by class.
    ///
    /// A file that is no picture is found when it is asked for. With
    /// [`skip_corrupt`](FolderOptions::skip_corrupt) all files are decoded here once, one after the
    /// other, and those that are no pictures are left out.
    ///
    /// # Errors
    /// `Io` if something cannot be read; `Data` if there are fewer than two classes, or if one has
    /// no picture, with the path; `Shape` if images cannot have the size.
    pub fn open(dir: impl AsRef<Path>, options: &FolderOptions) -> Result<Self> {
        let mut pixels = vec![0; checked_size(options.size)?];
        let (mut files, mut skipped, mut class_names) = (Vec::new(), Vec::new(), Vec::new());
        for (label, class) in classes(dir.as_ref())?.into_iter().enumerate() {
            let before = files.len();
            for path in class.files {
                match options.skip_corrupt {
                    true => match fitted(&path, options, &mut pixels) {
                        Err(e) if e.kind() == ErrorKind::Data => {
                            skipped.push((path, e.to_string()));
                        }
                        Err(e) => return Err(e),
                        Ok(()) => files.push((path, label as u32)),
                    },
                    false => files.push((path, label as u32)),
                }
            }
            expect_pictures(&class.dir, files.len() - before)?;
            class_names.push(class.name);
        }
        Ok(Self {
            options: options.clone(),
            files,
            class_names,
            skipped,
        })
    }

    /// The files and their classes.
    pub fn files(&self) -> &[(PathBuf, u32)] {
        &self.files
    }

    /// Files that were left out, and why.
    pub fn skipped(&self) -> &[(PathBuf, String)] {
        &self.skipped
    }

    /// The pictures of these numbers, in this order.
    ///
    /// # Errors
    /// `Data` if there is no picture of a number.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        let file = |&index: &usize| {
            let file = self.files.get(index).cloned();
            file.ok_or_else(|| {
                let message = format!("picture {index} of {}", self.files.len());
                Error::new(ErrorKind::Data, message)
            })
        };
        Ok(Self {
            files: indices.iter().map(file).collect::<Result<_>>()?,
            options: self.options.clone(),
            class_names: self.class_names.clone(),
            skipped: Vec::new(),
        })
    }

    /// Keeps a share of the pictures of each class apart, the second set, as
    /// [`Dataset::split`](super::Dataset::split) does: the same ones.
    ///
    /// # Errors
    /// As [`Dataset::split`](super::Dataset::split).
    pub fn split(&self, share: f64, seed: u64) -> Result<(Self, Self)> {
        let labels: Vec<u32> = self.files.iter().map(|&(_, label)| label).collect();
        let names = &self.class_names;
        let (train, test) = split_indices(&labels, names.len(), names, share, seed)?;
        Ok((self.subset(&train)?, self.subset(&test)?))
    }
}

impl Source for Pictures {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn image(&self) -> [usize; 3] {
        self.options.size
    }

    fn classes(&self) -> usize {
        self.class_names.len()
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn sample(&self, index: usize, pixels: &mut [u8]) -> Result<u32> {
        let (path, label) = &self.files[index];
        fitted(path, &self.options, pixels)?;
        Ok(*label)
    }
}

/// A class and its picture files.
pub(super) struct ClassFolder {
    pub dir: PathBuf,
    pub name: String,
    pub files: Vec<PathBuf>,
}

/// The classes of a folder, by name, and their files.
pub(super) fn classes(dir: &Path) -> Result<Vec<ClassFolder>> {
    let mut classes = Vec::new();
    for path in listed(dir)? {
        // A link to a folder that is not there would leave out a class.
        if fs::metadata(&path)
            .map_err(|e| io_error(&path, e))?
            .is_dir()
        {
            classes.push(path);
        }
    }
    if classes.len() < 2 {
        let message = format!(
            "a classifier needs two folders of pictures or more, one for each class; found {}",
            classes.len()
        );
        return Err(error(ErrorKind::Data, dir, message));
    }
    let class = |dir: PathBuf| {
        let name = dir.file_name().unwrap_or_default();
        Ok(ClassFolder {
            name: name.to_string_lossy().into_owned(),
            files: pictures(&dir)?,
            dir,
        })
    };
    classes.into_iter().map(class).collect()
}

/// Fails if a class has no pictures.
pub(super) fn expect_pictures(class: &Path, count: usize) -> Result<()> {
    match count {
        0 => Err(error(
            ErrorKind::Data,
            class,
            "no pictures (png, jpeg, webp) in this class",
        )),
        _ => Ok(()),
    }
}

/// What a folder holds, by name, hidden files left out.
pub(super) fn listed(dir: &Path) -> Result<Vec<PathBuf>> {
    let fail = |e| io_error(dir, e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().unwrap_or_default();
        if !name.to_string_lossy().starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The picture files in a folder and those inside it; links to what is not there are among them. A
/// link to a folder is not followed.
pub(super) fn pictures(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for path in listed(&dir)? {
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            let extension = extension.to_ascii_lowercase();
            let named = PICTURES.contains(&extension.as_str());
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() && !path.is_symlink() => open.push(path),
                // Whoever reads what cannot be reached tells why.
                Ok(metadata) if named && metadata.is_file() => found.push(path),
                Err(_) if named => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Fit, Loader, LoaderOptions, load_folder, write_picture};
    use std::sync::Arc;

    #[test]
    fn a_folder_is_decoded_as_it_is_asked_for() {
        let dir = std::env::temp_dir().join(format!("striate-pictures-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for (class, shade) in [("dark", 20u8), ("light", 220)] {
            fs::create_dir_all(dir.join(class)).unwrap();
            for number in 0..6 {
                let pixels = vec![shade + number; 3 * 6 * 5];
                let path = dir.join(class).join(format!("{number}.png"));
                write_picture(path, &pixels, [3, 6, 5]).unwrap();
            }
        }
        let options = FolderOptions::new([3, 4, 4]).fit(Fit::Stretch);
        let whole = load_folder(&dir, &options).unwrap().set;
        let pictures = Pictures::open(&dir, &options).unwrap();
        assert_eq!(pictures.len(), 12);
        assert_eq!(pictures.class_names(), ["dark", "light"]);
        for index in 0..12 {
            let mut pixels = vec![0; 48];
            let label = pictures.sample(index, &mut pixels).unwrap();
            assert_eq!(label, whole.labels[index]);
            assert_eq!(pixels, whole.images[index * 48..][..48]);
        }
        let (train, test) = pictures.split(0.3, 5).unwrap();
        let split = whole.split(0.3, 5).unwrap();
        let labels = |own: &Pictures| own.files().iter().map(|f| f.1).collect::<Vec<_>>();
        assert_eq!(labels(&train), split.train.labels);
        assert_eq!(labels(&test), split.test.labels);

        let broken = dir.join("light/3.png");
        fs::write(&broken, b"\x89PNG\r\n\x1a\nno more").unwrap();
        let skipping = options.clone().skip_corrupt(true);
        let kept = Pictures::open(&dir, &skipping).unwrap();
        assert_eq!((kept.len(), kept.skipped().len()), (11, 1));
        assert_eq!(kept.skipped()[0].0, broken);
        let loading = LoaderOptions {
            batch: 4,
            workers: 2,
            ..LoaderOptions::default()
        };
        let mut loader = Loader::new(Arc::new(pictures), &loading).unwrap();
        let errors: Vec<_> = (0..3).map(|_| loader.next_batch()).collect();
        let error = errors.into_iter().find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains("light/3.png: "), "{error}");
        fs::remove_dir_all(dir.join("dark")).unwrap();
        let error = Pictures::open(&dir, &options).unwrap_err();
        assert!(error.to_string().contains("found 1"), "{error}");
        fs::create_dir_all(dir.join("empty")).unwrap();
        let error = Pictures::open(&dir, &options).unwrap_err();
        assert!(error.to_string().contains("empty: no pictures"), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
