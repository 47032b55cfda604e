//! Pictures in folders, a class per folder, as torchvision's `ImageFolder` takes them.

use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ExtendedColorType, ImageEncoder};

use super::decode::{MOST_EDGE, decode};
use super::pictures::{classes, expect_pictures};
use super::placement::Placement;
use super::{Dataset, Fit};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{error, read_file};
use crate::tensor::room;

/// The longest picture file that is read.
pub(super) const MOST_BYTES: u64 = 256 << 20;

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

/// Fails unless images may have this size; returns their pixels' count.
pub(super) fn checked_size([channels, height, width]: [usize; 3]) -> Result<usize> {
    let edge = |extent: usize| (1..=MOST_EDGE as usize).contains(&extent);
    if matches!(channels, 1 | 3) && edge(height) && edge(width) {
        return Ok(channels * height * width);
    }
    Err(Error::shape(format!(
        "images of {channels}x{height}x{width}: 1 or 3 channels, and 1 to {MOST_EDGE} pixels along \
         each edge are read"
    )))
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
/// walked too. Other files, and those whose names begin with a dot, are passed over. Photographs
/// are turned as their EXIF orientation says.
///
/// # Errors
/// `Io` if something cannot be read; `Data` if there are fewer than two classes, if one has no
/// picture, or if a picture is corrupt and not to be skipped; each with the path.
pub fn load_folder(dir: impl AsRef<Path>, options: &FolderOptions) -> Result<Folder> {
    let size = checked_size(options.size)?;
    let classes = classes(dir.as_ref())?;
    let count: usize = classes.iter().map(|class| class.files.len()).sum();
    let mut images: Vec<u8> = room(count.saturating_mul(size))?;
    let (mut labels, mut files) = (Vec::new(), Vec::new());
    let (mut skipped, mut names) = (Vec::new(), Vec::new());
    for (label, class) in classes.into_iter().enumerate() {
        let before = files.len();
        for path in class.files {
            let end = images.len();
            images.resize(end + size, 0);
            match fitted(&path, options, &mut images[end..]) {
                Ok(()) => {
                    labels.push(label as u32);
                    files.push(path);
                }
                Err(e) if options.skip_corrupt && e.kind() == ErrorKind::Data => {
                    images.truncate(end);
                    skipped.push((path, e.to_string()));
                }
                Err(e) => return Err(e),
            }
        }
        expect_pictures(&class.dir, files.len() - before)?;
        names.push(class.name);
    }
    let set = Dataset::new(images, labels, options.size, names.len())?.with_names(names)?;
    Ok(Folder {
        set,
        files,
        skipped,
    })
}

/// The pixels `[channels, height, width]` of a picture file (png, jpeg, webp), from the top left of
/// the picture as it is to be seen: it is turned as its EXIF orientation says.
///
/// # Errors
/// `Io` if it cannot be read, `Data` if it is no picture or larger than 65,536 pixels along an
/// edge.
pub fn read_picture(path: impl AsRef<Path>, size: [usize; 3], fit: Fit) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let bytes = read_file(path, MOST_BYTES)?;
    decode_picture(&bytes, size, fit).map_err(|e| e.context(path.display()))
}

/// Writes the pixels of a picture file, which are as many as its images have.
pub(super) fn fitted(path: &Path, options: &FolderOptions, pixels: &mut [u8]) -> Result<()> {
    pixels.copy_from_slice(&read_picture(path, options.size, options.fit)?);
    Ok(())
}

/// As [`read_picture`], from the bytes of a file.
///
/// # Errors
/// `Data` if they are no picture.
pub fn decode_picture(bytes: &[u8], size: [usize; 3], fit: Fit) -> Result<Vec<u8>> {
    let mut pixels = room(checked_size(size)?)?;
    let picture = decode(bytes)?;
    pixels.resize(checked_size(size)?, 0);
    draw(&picture, size, fit, &mut pixels);
    Ok(pixels)
}

/// The picture of a file, as it is to be seen.
pub(super) fn open_picture(path: &Path) -> Result<DynamicImage> {
    decode(&read_file(path, MOST_BYTES)?).map_err(|e| e.context(path.display()))
}

/// Writes pixels `[channels, height, width]` (1 channel: grey, 3: red, green, blue) as a png file:
/// all of it, or nothing.
///
/// # Errors
/// `Shape` if there are more or fewer pixels or another number of channels, `Io` if the file cannot
/// be written.
pub fn write_picture(path: impl AsRef<Path>, pixels: &[u8], size: [usize; 3]) -> Result<()> {
    let path = path.as_ref();
    let [channels, height, width] = size;
    if checked_size(size)? != pixels.len() {
        return Err(Error::shape(format!(
            "write_picture: {} pixels are no picture of {channels}x{height}x{width}",
            pixels.len()
        )));
    }
    let plane = height * width;
    let interleaved: Vec<u8> = (0..pixels.len())
        .map(|at| pixels[at % channels * plane + at / channels])
        .collect();
    let color = match channels {
        1 => ExtendedColorType::L8,
        _ => ExtendedColorType::Rgb8,
    };
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&interleaved, width as u32, height as u32, color)
        .map_err(|e| error(ErrorKind::Data, path, format!("cannot be encoded: {e}")))?;
    put(path, &png)
}

#[cfg(not(target_arch = "wasm32"))]
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    crate::file::replace_file(path, bytes)
}

#[cfg(target_arch = "wasm32")]
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| crate::file::write_error(path, e))
}

/// Draws a picture as an image of this size, over black.
pub(super) fn draw(
    picture: &DynamicImage,
    [channels, height, width]: [usize; 3],
    fit: Fit,
    pixels: &mut [u8],
) {
    let own = [picture.width(), picture.height()];
    let placement = Placement::new(fit, own, [width as u32, height as u32]);
    let [left, top, own_width, own_height] = placement.to;
    let [x, y, from_width, from_height] = placement.from;
    let (whole, same) = (
        own == [from_width, from_height],
        own == [own_width, own_height],
    );
    let filter = FilterType::Triangle;
    let resized = match (whole, same) {
        (_, true) => picture.clone(),
        (true, _) => picture.resize_exact(own_width, own_height, filter),
        (false, _) => {
            let part = picture.crop_imm(x, y, from_width, from_height);
            part.resize_exact(own_width, own_height, filter)
        }
    };
    let interleaved = match channels {
        1 => resized.to_luma8().into_raw(),
        _ => resized.to_rgb8().into_raw(),
    };
    let (left, top, own_width) = (left as usize, top as usize, own_width as usize);
    for (at, pixel) in interleaved.chunks_exact(channels).enumerate() {
        let (row, column) = (top + at / own_width, left + at % own_width);
        for (channel, &value) in pixel.iter().enumerate() {
            pixels[(channel * height + row) * width + column] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};
    use std::fs;
    use std::io::Cursor;

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
            error.to_string().ends_with("one for each class; found 1"),
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

    #[cfg(unix)]
    #[test]
    fn links_to_nothing_are_no_silence() {
        let dir = folder("links");
        for class in ["a", "b"] {
            fs::create_dir(dir.join(class)).unwrap();
            write_picture(dir.join(class).join("1.png"), &[0; 16], [1, 4, 4]).unwrap();
        }
        let options = FolderOptions::new([1, 4, 4]);
        assert_eq!(load_folder(&dir, &options).unwrap().set.count, 2);
        for link in ["c", "a/2.png"] {
            std::os::unix::fs::symlink("/nowhere/at/all", dir.join(link)).unwrap();
            let error = load_folder(&dir, &options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(error.to_string().contains(link), "{error}");
            fs::remove_file(dir.join(link)).unwrap();
        }
        fs::remove_dir_all(dir).unwrap();
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
            (&b""[..], "no picture: it is empty"),
            (&b"GIF89a\x01\0\x01\0"[..], "it is a gif, not a png"),
        ] {
            let error = decode_picture(bytes, [3, 4, 4], Fit::Crop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains(words), "{error}");
        }
        for size in [
            [2, 4, 4],
            [0, 4, 4],
            [3, 0, 4],
            [3, 4, 1 << 40],
            [1, usize::MAX, 2],
        ] {
            let error = decode_picture(&png, size, Fit::Crop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape, "{size:?}");
        }
        // Long and thin: cut before it is made larger.
        let mut long = Cursor::new(Vec::new());
        halves(60_000, 1)
            .write_to(&mut long, ImageFormat::Png)
            .unwrap();
        let middle = decode_picture(long.get_ref(), [3, 64, 64], Fit::Crop).unwrap();
        assert_eq!(middle.len(), 3 * 64 * 64);
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
        let error = write_picture(&path, &[], [1, 0, 5]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert_eq!(read_picture(&path, [1, 12, 5], Fit::Crop).unwrap(), pixels);
        let error = write_picture(dir.join("no/one.png"), &pixels, [3, 4, 5]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        fs::remove_dir_all(&dir).unwrap();
        for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            assert_eq!(Fit::by_name(fit.name()), Some(fit));
        }
    }
}
