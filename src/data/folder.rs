//! Pictures in folders, a class per folder, as torchvision's `ImageFolder` takes them.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};

use super::{Dataset, Fit};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{described, error, io_error, read_file};

/// The longest picture file that is read.
const MOST_BYTES: u64 = 256 << 20;
/// The most memory that decoding one takes, and its longest edge.
const MOST_DECODED: u64 = 1 << 30;
const MOST_EDGE: u32 = 1 << 16;

/// How the pictures of a folder are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderOptions {
    /// Channels, height and width of the images: 1 channel is grey, 3 are red, green and blue.
    pub size: [usize; 3],
    /// How pictures of another size become these.
    pub fit: Fit,
    /// Leaves out files that are no pictures ([`Folder::skipped`]) instead of refusing the folder.
    pub skip_corrupt: bool,
}

impl FolderOptions {
    /// Cropped to this size; a file that is no picture is an error.
    pub fn new(size: [usize; 3]) -> Self {
        Self {
            size,
            fit: Fit::Crop,
            skip_corrupt: false,
        }
    }

    /// Another way to fit pictures.
    pub fn fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Whether files that are no pictures are left out.
    pub fn skip_corrupt(mut self, skip: bool) -> Self {
        self.skip_corrupt = skip;
        self
    }
}

/// What [`load_folder`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// The images, class by class; classes are the folders by name.
    pub set: Dataset,
    /// The file of each image.
    pub files: Vec<PathBuf>,
    /// Files that were left out, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Reads a folder that has one folder of pictures (png, jpeg, webp) for each class.
///
/// ```no_run
/// use striate::data::{Fit, FolderOptions, load_folder};
/// use striate::interop::Predictor;
/// use striate::models::resnet18;
/// use striate::prelude::*;
/// use striate::train::{Classifier, ClassifierOptions};
///
/// # fn main() -> Result<()> {
/// let folder = load_folder("pictures", &FolderOptions::new([3, 64, 64]))?;
/// let data = folder.set.split(0.2, 1)?;
/// let model = resnet18(data.train.classes);
/// let options = ClassifierOptions::default();
/// let mut classifier = Classifier::new(&Engine::new()?, &model, &data, &options)?;
/// for epoch in 1..=10 {
///     classifier.train(classifier.steps_per_epoch())?;
///     println!("epoch {epoch}: {:.1} % right", 100.0 * classifier.test()?);
/// }
/// classifier.save_model("net.safetensors", &model, Fit::Crop)?;
///
/// let mut predictor = Predictor::load("net.safetensors")?;
/// println!("{}", predictor.predict_file("cat.jpg")?.name);
/// # Ok(())
/// # }
/// ```
///
/// Folders and files are taken in the order of their names, and folders inside those of classes are
/// walked too. Other files, and those whose names begin with a dot, are passed over.
///
/// # Errors
/// `Io` if something cannot be read; `Data` if there are fewer than two classes, if one has no
/// picture, or if a picture is corrupt and not to be skipped; each with the path.
pub fn load_folder(dir: impl AsRef<Path>, options: &FolderOptions) -> Result<Folder> {
    let dir = dir.as_ref();
    let wrong = |path: &Path, message: String| Err(error(ErrorKind::Data, path, message));
    if !matches!(options.size[0], 1 | 3) || options.size.contains(&0) {
        return Err(Error::shape(format!(
            "images of {:?}: [channels, height, width] with 1 or 3 channels are read",
            options.size
        )));
    }
    let classes: Vec<PathBuf> = listed(dir)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    if classes.len() < 2 {
        return wrong(
            dir,
            format!(
                "{} folders of pictures, a classifier needs two",
                classes.len()
            ),
        );
    }
    let (mut images, mut labels, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let (mut skipped, mut names) = (Vec::new(), Vec::new());
    for (label, class) in classes.iter().enumerate() {
        let before = files.len();
        for path in pictures(class)? {
            match read_picture(&path, options.size, options.fit) {
                Ok(pixels) => {
                    images.extend(pixels);
                    labels.push(label as u32);
                    files.push(path);
                }
                Err(e) if options.skip_corrupt && e.kind() == ErrorKind::Data => {
                    skipped.push((path, e.to_string()));
                }
                Err(e) => return Err(e),
            }
        }
        if files.len() == before {
            return wrong(
                class,
                "no pictures (png, jpeg, webp) in this class".to_owned(),
            );
        }
        let name = class.file_name().unwrap_or_default();
        names.push(name.to_string_lossy().into_owned());
    }
    let set = Dataset::new(images, labels, options.size, classes.len())?.with_names(names)?;
    Ok(Folder {
        set,
        files,
        skipped,
    })
}

/// The pixels `[channels, height, width]` of a picture file (png, jpeg, webp), from the top left.
///
/// # Errors
/// `Io` if it cannot be read, `Data` if it is no picture or larger than 65,536 pixels along an
/// edge.
pub fn read_picture(path: impl AsRef<Path>, size: [usize; 3], fit: Fit) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let bytes = read_file(path, MOST_BYTES)?;
    decode_picture(&bytes, size, fit).map_err(|e| e.context(path.display()))
}

/// As [`read_picture`], from the bytes of a file.
///
/// # Errors
/// `Data` if they are no picture.
pub fn decode_picture(bytes: &[u8], size: [usize; 3], fit: Fit) -> Result<Vec<u8>> {
    let wrong = |message: String| Error::new(ErrorKind::Data, message);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| wrong("it cannot be read".to_owned()).with_source(e))?;
    if reader.format().is_none() {
        let what = described(bytes).unwrap_or("no png, jpeg or webp");
        return Err(wrong(format!("no picture: it is {what}")));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODED);
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_EDGE), Some(MOST_EDGE));
    reader.limits(limits);
    let picture = reader.decode();
    let picture = picture.map_err(|e| wrong(format!("a picture that is corrupt: {e}")))?;
    Ok(fitted(&picture, size, fit))
}

/// Writes pixels `[channels, height, width]` (1 channel: grey, 3: red, green, blue) as a png file.
///
/// # Errors
/// `Shape` if there are more or fewer pixels or another number of channels, `Io` if the file cannot
/// be written.
pub fn write_picture(path: impl AsRef<Path>, pixels: &[u8], size: [usize; 3]) -> Result<()> {
    let path = path.as_ref();
    let [channels, height, width] = size;
    let count = size
        .iter()
        .try_fold(1usize, |n, &extent| n.checked_mul(extent));
    let edges = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    let (true, Some((to_width, to_height))) = (count == Some(pixels.len()), edges) else {
        return Err(Error::shape(format!(
            "write_picture: {} pixels are no picture of {channels}x{height}x{width}",
            pixels.len()
        )));
    };
    let plane = height * width;
    let interleaved: Vec<u8> = (0..pixels.len())
        .map(|at| pixels[at % channels * plane + at / channels])
        .collect();
    let picture = match channels {
        1 => image::GrayImage::from_raw(to_width, to_height, interleaved).map(DynamicImage::from),
        3 => image::RgbImage::from_raw(to_width, to_height, interleaved).map(DynamicImage::from),
        _ => None,
    };
    let Some(picture) = picture else {
        return Err(Error::shape(format!(
            "write_picture: {channels} channels, 1 or 3 are written"
        )));
    };
    picture
        .save_with_format(path, image::ImageFormat::Png)
        .map_err(|e| error(ErrorKind::Io, path, "cannot be written").with_source(e))
}

/// A picture as an image of this size.
fn fitted(picture: &DynamicImage, [channels, height, width]: [usize; 3], fit: Fit) -> Vec<u8> {
    let (to_width, to_height) = (width as u32, height as u32);
    let same = (picture.width(), picture.height()) == (to_width, to_height);
    let filter = FilterType::Triangle;
    let resized = match fit {
        _ if same => picture.clone(),
        Fit::Crop => picture.resize_to_fill(to_width, to_height, filter),
        Fit::Pad => picture.resize(to_width, to_height, filter),
        Fit::Stretch => picture.resize_exact(to_width, to_height, filter),
    };
    let (own_width, own_height) = (resized.width() as usize, resized.height() as usize);
    // Where it is smaller, in the middle.
    let (left, top) = ((width - own_width) / 2, (height - own_height) / 2);
    let mut pixels = vec![0; channels * height * width];
    let interleaved = match channels {
        1 => resized.to_luma8().into_raw(),
        _ => resized.to_rgb8().into_raw(),
    };
    for (at, pixel) in interleaved.chunks_exact(channels).enumerate() {
        let (row, column) = (top + at / own_width, left + at % own_width);
        for (channel, &value) in pixel.iter().enumerate() {
            pixels[(channel * height + row) * width + column] = value;
        }
    }
    pixels
}

/// What a folder holds, by name, hidden files left out.
fn listed(dir: &Path) -> Result<Vec<PathBuf>> {
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

/// The picture files in a folder and those inside it. A link to a folder is not followed.
fn pictures(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for path in listed(&dir)? {
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            let extension = extension.to_ascii_lowercase();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if ["png", "jpg", "jpeg", "webp"].contains(&extension.as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("striate-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Red on the left, blue on the right.
    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| match x < width / 2 {
            true => Rgb([255, 0, 0]),
            false => Rgb([0, 0, 255]),
        })
    }

    #[test]
    fn a_class_is_a_folder() {
        let dir = folder("classes");
        for class in ["cat", "dog"] {
            fs::create_dir_all(dir.join(class).join("more")).unwrap();
            halves(8, 4).save(dir.join(class).join("b.png")).unwrap();
            halves(20, 20)
                .save(dir.join(class).join("more/a.PNG"))
                .unwrap();
        }
        halves(4, 4).save(dir.join("dog/c.jpg")).unwrap();
        fs::write(dir.join("dog/notes.txt"), "no picture").unwrap();
        fs::write(dir.join("dog/.hidden.png"), "no picture").unwrap();
        let options = FolderOptions::new([3, 4, 4]);
        let found = load_folder(&dir, &options).unwrap();
        assert_eq!(found.set.labels, [0, 0, 1, 1, 1]);
        assert_eq!(found.set.class_names, ["cat", "dog"]);
        let names: Vec<_> = found
            .files
            .iter()
            .map(|path| path.file_name().unwrap())
            .collect();
        assert_eq!(names, ["b.png", "a.PNG", "b.png", "c.jpg", "a.PNG"]);
        // Cropped to the middle: two columns of each half.
        let image = &found.set.images[..48];
        assert_eq!(image[..4], [255, 255, 0, 0]);
        assert_eq!(image[32..36], [0, 0, 255, 255]);

        fs::write(dir.join("cat/broken.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
        let error = load_folder(&dir, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(
            error
                .to_string()
                .contains("broken.png: a picture that is corrupt"),
            "{error}"
        );
        fs::write(dir.join("cat/page.png"), "<html>404</html>").unwrap();
        let found = load_folder(&dir, &options.clone().skip_corrupt(true)).unwrap();
        assert_eq!((found.set.count, found.skipped.len()), (5, 2));
        assert!(
            found.skipped[1].1.contains("an HTML"),
            "{:?}",
            found.skipped[1]
        );

        fs::create_dir(dir.join("emu")).unwrap();
        let error = load_folder(&dir, &options.clone().skip_corrupt(true)).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("no pictures (png, jpeg, webp) in this class")
        );
        assert!(error.to_string().contains("emu"), "{error}");
        fs::remove_dir_all(dir.join("emu")).unwrap();
        fs::remove_dir_all(dir.join("dog")).unwrap();
        let error = load_folder(&dir, &options).unwrap_err();
        assert!(
            error.to_string().contains("1 folders of pictures"),
            "{error}"
        );
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(
            load_folder(&dir, &options).unwrap_err().kind(),
            ErrorKind::Io
        );
        let error = load_folder(&dir, &FolderOptions::new([2, 4, 4])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }

    #[test]
    fn pictures_fit() {
        let mut png = Cursor::new(Vec::new());
        halves(8, 4)
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let png = png.into_inner();
        let pad = decode_picture(&png, [1, 4, 4], Fit::Pad).unwrap();
        // Twice as wide as high: a row of black above and below.
        assert_eq!(pad[..4], [0; 4]);
        assert_eq!(pad[12..], [0; 4]);
        assert!(pad[4..8].iter().all(|&pixel| pixel > 0));
        let stretch = decode_picture(&png, [3, 2, 4], Fit::Stretch).unwrap();
        assert_eq!(stretch.len(), 24);
        assert!(stretch[0] > 250 && stretch[3] < 5, "{stretch:?}");
        for (bytes, words) in [
            (&b"not a picture"[..], "no picture: it is plain text"),
            (&png[..png.len() / 2], "corrupt"),
            (&b""[..], "no png, jpeg or webp"),
        ] {
            let error = decode_picture(bytes, [3, 4, 4], Fit::Crop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains(words), "{error}");
        }
        let dir = folder("written");
        let path = dir.join("one.png");
        let pixels: Vec<u8> = (0..60).collect();
        for size in [[3, 4, 5], [1, 12, 5]] {
            write_picture(&path, &pixels, size).unwrap();
            assert_eq!(read_picture(&path, size, Fit::Crop).unwrap(), pixels);
        }
        let error = write_picture(&path, &pixels, [2, 6, 5]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert_eq!(
            write_picture(&path, &pixels, [3, 4, 4]).unwrap_err().kind(),
            ErrorKind::Shape
        );
        let error = write_picture(dir.join("no/one.png"), &pixels, [3, 4, 5]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        fs::remove_dir_all(&dir).unwrap();
        for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            assert_eq!(Fit::by_name(fit.name()), Some(fit));
        }
    }
}
