//! Pictures and masks of the same names, for segmentation.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::decode::{MOST_DECODED, MOST_EDGE};
use super::folder::{FolderOptions, MOST_BYTES, checked_size, draw, open_picture};
use super::pictures::pictures;
use super::placement::Placement;
use super::{Dataset, Fit, Targets};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{described, error, read_file};
use crate::tensor::room;

/// What [`load_pairs`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    /// The images and their masks, in the order of their names.
    pub set: Dataset,
    /// The files of each image and of its mask.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Pictures and masks that were left out, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Reads pictures (png, jpeg, webp) from one folder and their masks (png) from another, or from
/// folders inside these. A mask has the name of its picture, but for the ending.
///
/// The pixels of a mask are classes: the numbers of its colours where it has a palette, else its
/// greys. 255 is no class ([`Targets::IGNORED`]). Where pictures are resized, each pixel of the
/// mask is the nearest one; beside a picture that does not fill its image
/// ([`Fit::Pad`](super::Fit::Pad)) none counts. Masks of two classes hold 0 and 1: those of black
/// and white pixels, 0 and 255, are refused, for all that is white would count nowhere.
///
/// ```no_run
/// use striate::data::{Fit, FolderOptions, load_pairs};
///
/// # fn main() -> striate::error::Result<()> {
/// let options = FolderOptions::new([3, 128, 128]).fit(Fit::Pad);
/// let pairs = load_pairs("photos", "masks", 2, &options)?;
/// let data = pairs.set.with_names(["background", "leaf"])?.split(0.2, 1)?;
/// # Ok(())
/// # }
/// ```
///
/// Photographs are turned as their EXIF orientation says: masks are those of the upright pictures.
///
/// # Errors
/// `Io` if something cannot be read; `Data`, with the file and the numbers, if there are no
/// pictures, if two have one name, if a picture has no mask or a mask no picture, if a mask is of
/// another size than its picture or holds a class that is not below `classes`, if all masks
/// together hold nothing but 0 and 255, and, unless they are to be skipped, if a picture or a mask
/// is corrupt, or if no pair is left; `Shape` for a size that images cannot have, or more than 255
/// classes.
pub fn load_pairs(
    images: impl AsRef<Path>,
    masks: impl AsRef<Path>,
    classes: usize,
    options: &FolderOptions,
) -> Result<Pairs> {
    let (images, masks) = (images.as_ref(), masks.as_ref());
    let size = checked_size(options.size)?;
    if !(1..=usize::from(Targets::IGNORED)).contains(&classes) {
        return Err(Error::shape(format!(
            "load_pairs: masks of {classes} classes, 1 to {} can be told apart",
            Targets::IGNORED
        )));
    }
    let mut found = by_name(masks)?;
    let pictures = by_name(images)?;
    if pictures.is_empty() {
        return Err(error(
            ErrorKind::Data,
            images,
            "no pictures (png, jpeg, webp)",
        ));
    }
    let count = pictures.len();
    let [_, height, width] = options.size;
    let mut pixels: Vec<u8> = room(count.saturating_mul(size))?;
    let mut targets: Vec<u8> = room(count.saturating_mul(height * width))?;
    let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut skipped: Vec<(PathBuf, String)> = Vec::new();
    let (mut some_class, mut some_ignored) = (false, false);
    for (name, picture) in pictures {
        let Some(mask) = found.remove(&name) else {
            let message = format!("no mask of this name (png) in {}", masks.display());
            return Err(error(ErrorKind::Data, &picture, message));
        };
        let image = open_picture(&picture).map_err(|e| (picture.clone(), e));
        let both = image.and_then(|image| match Mask::read(&mask) {
            Ok(own) => Ok((image, own)),
            Err(e) => Err((mask.clone(), e)),
        });
        let (image, own) = match both {
            Ok(both) => both,
            Err((file, e)) if options.skip_corrupt && e.kind() == ErrorKind::Data => {
                skipped.push((file, e.to_string()));
                continue;
            }
            Err((_, e)) => return Err(e),
        };
        let of = [image.width(), image.height()];
        if own.size != of {
            let message = format!(
                "the mask is {}x{}, its picture {} is {}x{} (width by height, turned as its EXIF \
                 orientation says)",
                own.size[0],
                own.size[1],
                picture.display(),
                of[0],
                of[1]
            );
            return Err(error(ErrorKind::Data, &mask, message));
        }
        own.expect_below(classes)
            .map_err(|e| e.context(mask.display()))?;
        let class = |&class: &u8| class != 0 && class != Targets::IGNORED;
        some_class |= own.classes.iter().any(class);
        some_ignored |= own.classes.contains(&Targets::IGNORED);
        let end = pixels.len();
        pixels.resize(end + size, 0);
        draw(&image, options.size, options.fit, &mut pixels[end..]);
        own.draw(options.fit, [width, height], &mut targets);
        files.push((picture, mask));
    }
    if let Some(mask) = found.into_values().next() {
        let message = format!("no picture of this name in {}", images.display());
        return Err(error(ErrorKind::Data, &mask, message));
    }
    if files.is_empty() {
        let count = skipped.len();
        let first = skipped.first().map_or("", |(_, why)| why.as_str());
        let message = format!("no pair is left, {count} have a corrupt file: {first}");
        return Err(error(ErrorKind::Data, images, message));
    }
    if classes > 1 && some_ignored && !some_class {
        let message = "its masks hold 0 and 255 alone, and 255 is no class, it counts nowhere: \
                       write the numbers of the classes as pixels, 0 and 1 for two of them";
        return Err(error(ErrorKind::Data, masks, message));
    }
    Ok(Pairs {
        set: Dataset::of_masks(pixels, targets, options.size, classes)?,
        files,
        skipped,
    })
}

/// The picture files in a folder and those inside it, by their paths below it without endings.
fn by_name(dir: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for path in pictures(dir)? {
        let name = path.strip_prefix(dir).unwrap_or(&path).with_extension("");
        if let Some(other) = found.insert(name, path.clone()) {
            let message = format!("has the name of {}", other.display());
            return Err(error(ErrorKind::Data, &path, message));
        }
    }
    Ok(found)
}

/// A mask as it lies in its file: a class for each pixel.
struct Mask {
    /// Width and height.
    size: [u32; 2],
    classes: Vec<u8>,
}

impl Mask {
    fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path, MOST_BYTES)?;
        Self::decode(&bytes).map_err(|e| e.context(path.display()))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong = |message: String| Error::new(ErrorKind::Data, message);
        let corrupt = |e: png::DecodingError| {
            let what = described(bytes).unwrap_or("no png");
            wrong(format!("no mask that can be read: {e} (it is {what})")).with_source(e)
        };
        let limits = Limits {
            bytes: MOST_DECODED as usize,
        };
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
        // As they are in the file: numbers of colours, not the colours.
        decoder.set_transformations(Transformations::IDENTITY);
        let mut reader = decoder.read_info().map_err(corrupt)?;
        let info = reader.info();
        let (size, depth) = ([info.width, info.height], info.bit_depth);
        let told = match (info.color_type, depth) {
            (_, BitDepth::Sixteen) => Some("16 bits for each value"),
            (ColorType::Indexed | ColorType::Grayscale, _) => None,
            _ => Some("colours or transparency"),
        };
        if let Some(told) = told {
            return Err(wrong(format!(
                "a png with {told}: a mask has a palette or greys of at most 8 bits, whose numbers \
                 are classes"
            )));
        }
        if size.iter().any(|&edge| edge > MOST_EDGE) {
            return Err(wrong(format!(
                "a mask of {}x{}, {MOST_EDGE} pixels at most along each edge",
                size[0], size[1]
            )));
        }
        // A class takes a byte, a pixel in the file no more than that.
        let pixels = u64::from(size[0]) * u64::from(size[1]);
        let bytes = reader.output_buffer_size();
        let bytes = bytes.filter(|&bytes| pixels.max(bytes as u64) <= MOST_DECODED);
        let bytes = bytes.ok_or_else(|| {
            wrong(format!(
                "a mask of {}x{}, {MOST_DECODED} pixels at most are read",
                size[0], size[1]
            ))
        })?;
        let mut packed = room(bytes)?;
        packed.resize(bytes, 0);
        let frame = reader.next_frame(&mut packed).map_err(corrupt)?;
        let (bits, width) = (depth as usize, size[0] as usize);
        let mut classes = room(width * size[1] as usize)?;
        for line in packed.chunks_exact(frame.line_size).take(size[1] as usize) {
            // The first pixel of a byte lies in its highest bits.
            classes.extend((0..width).map(|column| {
                let shift = 8 - bits - column * bits % 8;
                line[column * bits / 8] >> shift & (0xff >> (8 - bits)) as u8
            }));
        }
        Ok(Self { size, classes })
    }

    fn expect_below(&self, classes: usize) -> Result<()> {
        let beyond = |&class: &u8| class != Targets::IGNORED && usize::from(class) >= classes;
        let Some(at) = self.classes.iter().position(beyond) else {
            return Ok(());
        };
        let width = self.size[0] as usize;
        let message = format!(
            "class {} in row {}, column {} is not below {classes}, the number of classes",
            self.classes[at],
            at / width,
            at % width
        );
        Err(Error::new(ErrorKind::Data, message))
    }

    /// Appends the classes of an image `[height, width]` that the mask lies on.
    fn draw(&self, fit: Fit, to: [usize; 2], targets: &mut Vec<u8>) {
        let to = to.map(|extent| extent as u32);
        let placement = Placement::new(fit, self.size, to);
        for row in 0..to[1] {
            targets.extend(
                (0..to[0]).map(|column| match placement.nearest(column, row) {
                    Some([x, y]) => self.classes[y as usize * self.size[0] as usize + x as usize],
                    None => Targets::IGNORED,
                }),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::write_picture;
    use std::fs;

    /// A png as it is, with a palette if it has one.
    fn png(color: ColorType, depth: BitDepth, [width, height]: [u32; 2], data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(
                (0..=255u8)
                    .flat_map(|i| [i, 255 - i, 7])
                    .collect::<Vec<_>>(),
            );
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn masks_are_numbers_and_not_colours() {
        let eight = [0, 1, 2, 255, 4, 5];
        for color in [ColorType::Indexed, ColorType::Grayscale] {
            let mask = Mask::decode(&png(color, BitDepth::Eight, [3, 2], &eight)).unwrap();
            assert_eq!((mask.size, &mask.classes[..]), ([3, 2], &eight[..]));
        }
        // Two bits: 0 1 2 3 | 3, and 2 2 1 1 | 0.
        let packed = [0b0001_1011, 0b1100_0000, 0b1010_0101, 0];
        let gray = png(ColorType::Grayscale, BitDepth::Two, [5, 2], &packed);
        let mask = Mask::decode(&gray).unwrap();
        assert_eq!(mask.classes, [0, 1, 2, 3, 3, 2, 2, 1, 1, 0]);
        let bits = png(ColorType::Grayscale, BitDepth::One, [4, 1], &[0b1011_0000]);
        assert_eq!(Mask::decode(&bits).unwrap().classes, [1, 0, 1, 1]);
        for (bytes, words) in [
            (
                png(ColorType::Rgb, BitDepth::Eight, [1, 1], &[1, 2, 3]),
                "a png with colours or transparency: a mask has a palette",
            ),
            (
                png(ColorType::Grayscale, BitDepth::Sixteen, [1, 1], &[0, 3]),
                "16 bits for each value",
            ),
            (gray[..gray.len() / 2].to_vec(), "no mask that can be read"),
            (b"GIF89a".to_vec(), "(it is a GIF picture)"),
        ] {
            let error = Mask::decode(&bytes).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_mask_that_claims_to_be_huge_is_refused() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, MOST_EDGE, MOST_EDGE);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        let mut writer = encoder.write_header().unwrap();
        writer.write_chunk(png::chunk::IDAT, &[0; 8]).unwrap();
        drop(writer);
        let error = Mask::decode(&bytes).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Data);
        let words = "a mask of 65536x65536, 1073741824 pixels at most";
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn pairs_have_one_name() {
        let dir = std::env::temp_dir().join(format!("striate-pairs-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let (images, masks) = (dir.join("images"), dir.join("masks"));
        for folder in [&images, &masks] {
            fs::create_dir_all(folder.join("more")).unwrap();
        }
        // Four columns, the left half of class 1.
        let mask = |class: u8| {
            let row = [class, class, 0, 0];
            png(ColorType::Indexed, BitDepth::Eight, [4, 2], &row.repeat(2))
        };
        for name in ["b.png", "more/a.png"] {
            let pixels: Vec<u8> = (0..24)
                .map(|at| if at % 4 < 2 { 200 } else { 10 })
                .collect();
            write_picture(images.join(name), &pixels, [3, 2, 4]).unwrap();
            fs::write(masks.join(name), mask(1)).unwrap();
        }
        let load = |options: &FolderOptions| load_pairs(&images, &masks, 2, options);
        let pad = FolderOptions::new([3, 4, 4]).fit(Fit::Pad);
        let found = load(&pad).unwrap();
        assert_eq!(found.set.count, 2);
        assert!(found.files[0].0.ends_with("b.png"));
        assert!(found.files[1].1.ends_with("masks/more/a.png"));
        let Targets::Masks(made) = &found.set.targets else {
            panic!("{:?}", found.set.targets);
        };
        let (none, row) = ([255; 4], [1, 1, 0, 0]);
        assert_eq!(made[..16], [none, row, row, none].concat());
        // The geometry of the picture is that of its mask.
        let stretch = FolderOptions::new([3, 4, 8]).fit(Fit::Stretch);
        let found = load(&stretch).unwrap();
        let Targets::Masks(made) = &found.set.targets else {
            panic!("{:?}", found.set.targets);
        };
        assert_eq!(made[..8], [1, 1, 1, 1, 0, 0, 0, 0]);
        assert!(found.set.images[1] > 150 && found.set.images[6] < 60);

        let told = |words: &str| {
            let error = load(&pad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains(words), "{error}");
        };
        fs::write(masks.join("b.png"), mask(9)).unwrap();
        told("masks/b.png: class 9 in row 0, column 0 is not below 2, the number of classes");
        let other = png(ColorType::Grayscale, BitDepth::Eight, [4, 3], &[0; 12]);
        fs::write(masks.join("b.png"), other).unwrap();
        told("masks/b.png: the mask is 4x3, its picture ");
        told("b.png is 4x2");
        fs::write(masks.join("b.png"), b"no png").unwrap();
        told("masks/b.png: no mask that can be read");
        let skipping = pad.clone().skip_corrupt(true);
        let found = load(&skipping).unwrap();
        assert_eq!((found.set.count, found.skipped.len()), (1, 1));
        assert!(found.skipped[0].0.ends_with("masks/b.png"));
        fs::write(masks.join("more/a.png"), b"no png").unwrap();
        let error = load(&skipping).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        let words = "images: no pair is left, 2 have a corrupt file: ";
        assert!(error.to_string().contains(words), "{error}");
        // White on black.
        for name in ["b.png", "more/a.png"] {
            fs::write(masks.join(name), mask(255)).unwrap();
        }
        told("masks: its masks hold 0 and 255 alone");
        // Where there is a class too, 255 is what it is elsewhere.
        fs::write(masks.join("more/a.png"), mask(1)).unwrap();
        assert_eq!(load(&pad).unwrap().set.count, 2);
        fs::remove_file(masks.join("b.png")).unwrap();
        told("images/b.png: no mask of this name (png) in ");
        fs::write(masks.join("b.png"), mask(1)).unwrap();
        fs::write(masks.join("c.png"), mask(1)).unwrap();
        told("masks/c.png: no picture of this name in ");
        fs::write(images.join("b.jpg"), b"").unwrap();
        told("b.png: has the name of ");
        fs::remove_dir_all(&images).unwrap();
        fs::create_dir(&images).unwrap();
        told("images: no pictures (png, jpeg, webp)");
        let error = load_pairs(&images, &masks, 256, &pad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        fs::remove_dir_all(&dir).unwrap();
    }
}
