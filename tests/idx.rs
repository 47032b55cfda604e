//! The IDX reader against good and bad files.
#![cfg(feature = "data")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};

use striate::data::idx::{Images, read_images, read_labels};
use striate::data::{Split, load_mnist};
use striate::error::{ErrorKind, Result};

/// A directory of this test's own, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let name = format!("striate-idx-{}-{test}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Two training images of 2x3 pixels and one test image, raw.
    fn with_mnist(test: &str) -> Self {
        let scratch = Self::new(test);
        scratch.write("train-images-idx3-ubyte", &idx(&[2, 2, 3], &[9; 12]));
        scratch.write("train-labels-idx1-ubyte", &idx(&[2], &[0, 9]));
        scratch.write("t10k-images-idx3-ubyte", &idx(&[1, 2, 3], &[7; 6]));
        scratch.write("t10k-labels-idx1-ubyte", &idx(&[1], &[4]));
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn idx(dims: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that deflate cannot shrink much.
fn uneven(count: u32) -> Vec<u8> {
    (0..count)
        .map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[track_caller]
fn assert_fails<T>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let error = result.err().expect("must fail");
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "no `{word}` in `{error}`");
    }
}

#[test]
fn raw_and_gzipped_files_read_alike() {
    let scratch = Scratch::new("alike");
    let pixels = uneven(5 * 4 * 3);
    let file = idx(&[5, 4, 3], &pixels);
    let expected = Images {
        pixels,
        count: 5,
        height: 4,
        width: 3,
    };
    // The name does not say which is which.
    let raw = scratch.write("raw.gz", &file);
    let zipped = scratch.write("zipped", &gzip(&file));
    let halves = [gzip(&file[..20]), gzip(&file[20..])].concat();
    let members = scratch.write("members", &halves);
    for path in [raw, zipped, members] {
        assert_eq!(read_images(&path).unwrap(), expected);
    }
    let labels = scratch.write("labels", &gzip(&idx(&[3], &[1, 0, 255])));
    assert_eq!(read_labels(&labels).unwrap(), [1, 0, 255]);
}

#[test]
fn mnist_is_found_under_any_of_its_names() {
    let scratch = Scratch::with_mnist("names");
    let plain = load_mnist(&scratch.0).unwrap();
    assert_eq!(
        (plain.train.count, plain.train.height, plain.train.width),
        (2, 2, 3)
    );
    assert_eq!(plain.train.classes, 10);
    assert_eq!(
        (plain.train.labels.as_slice(), plain.test.labels.as_slice()),
        (&[0, 9][..], &[4][..])
    );

    let rename =
        |from: &str, to: &str| fs::rename(scratch.0.join(from), scratch.0.join(to)).unwrap();
    rename("train-images-idx3-ubyte", "train-images.idx3-ubyte");
    rename("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte.gz");
    rename("train-labels-idx1-ubyte", "train-labels-idx1-ubyte.gz");
    assert_eq!(load_mnist(&scratch.0).unwrap(), plain);
}

#[test]
fn missing_directories_and_files_are_named() {
    let scratch = Scratch::with_mnist("missing");
    let nowhere = scratch.0.join("nowhere");
    assert_fails(
        load_mnist(&nowhere),
        ErrorKind::Io,
        &["nowhere", "no such directory"],
    );
    assert_fails(read_images(&nowhere), ErrorKind::Io, &["nowhere"]);
    fs::remove_file(scratch.0.join("t10k-labels-idx1-ubyte")).unwrap();
    let missing = "t10k-labels-idx1-ubyte.gz";
    assert_fails(load_mnist(&scratch.0), ErrorKind::Io, &["no file", missing]);
}

#[test]
fn every_truncation_is_an_error() {
    let scratch = Scratch::new("truncated");
    let file = idx(&[2, 5, 7], &uneven(70));
    for keep in 0..file.len() {
        let path = scratch.write("raw", &file[..keep]);
        let numbers = if keep < 16 {
            [format!("holds {keep} bytes"), "its header of 16".into()]
        } else {
            [
                "2x5x7, 70 bytes".into(),
                format!("but {} follow", keep - 16),
            ]
        };
        assert_fails(
            read_images(&path),
            ErrorKind::Data,
            &["raw", &numbers[0], &numbers[1]],
        );
    }
    let zipped = gzip(&file);
    for keep in 2..zipped.len() {
        let path = scratch.write("zipped", &zipped[..keep]);
        assert_fails(
            read_images(&path),
            ErrorKind::Data,
            &["zipped", "truncated"],
        );
    }
}

#[test]
fn corrupt_gzip_is_an_error() {
    let scratch = Scratch::new("corrupt");
    let zipped = gzip(&idx(&[2, 10, 10], &uneven(200)));
    // In the compressed data, in the checksum, and in the length.
    for at in [zipped.len() / 2, zipped.len() - 8, zipped.len() - 4] {
        let mut bytes = zipped.clone();
        bytes[at] ^= 0x55;
        let path = scratch.write("bad", &bytes);
        assert_fails(
            read_images(&path),
            ErrorKind::Data,
            &["bad", "gzip data is"],
        );
    }
}

#[test]
fn another_magic_is_an_error() {
    let scratch = Scratch::new("magic");
    let labels = scratch.write("labels", &idx(&[20], &[0; 20]));
    let words = ["labels", "expected magic 0x00000803, found 0x00000801"];
    assert_fails(read_images(&labels), ErrorKind::Data, &words);
    let text = scratch.write("text", b"<!DOCTYPE html>");
    let words = ["text", "expected magic 0x00000801, found 0x3c21444f"];
    assert_fails(read_labels(&text), ErrorKind::Data, &words);
}

#[test]
fn headers_are_not_trusted() {
    let scratch = Scratch::new("header");
    for (dims, words) in [
        (
            [u32::MAX; 3],
            "4294967295x4294967295x4294967295, the limit is 1073741824 bytes",
        ),
        (
            [1 << 16, 1 << 10, 32],
            "65536x1024x32, the limit is 1073741824 bytes",
        ),
        (
            [1 << 15, 1 << 10, 32],
            "32768x1024x32, 1073741824 bytes, but 8 follow",
        ),
        ([0, 28, 28], "0x28x28, which is empty"),
        ([1, 2, 3], "1x2x3, 6 bytes, but more follow"),
    ] {
        let file = idx(&dims, &[0; 8]);
        for bytes in [file.clone(), gzip(&file)] {
            let path = scratch.write("bad", &bytes);
            assert_fails(read_images(&path), ErrorKind::Data, &["bad", words]);
        }
    }
}

#[test]
fn bytes_behind_the_gzip_data_are_an_error() {
    let scratch = Scratch::new("behind");
    let file = [gzip(&idx(&[2], &[0, 1])), vec![b'x'; 20]].concat();
    let path = scratch.write("bad", &file);
    assert_fails(
        read_labels(&path),
        ErrorKind::Data,
        &["bad", "gzip data is corrupt"],
    );
}

#[test]
fn parts_of_a_set_must_agree() {
    let scratch = Scratch::with_mnist("agree");
    let labels = "train-labels-idx1-ubyte";
    scratch.write(labels, &idx(&[3], &[0, 1, 2]));
    assert_fails(
        load_mnist(&scratch.0),
        ErrorKind::Data,
        &[labels, "3 labels for 2 images"],
    );
    scratch.write(labels, &idx(&[2], &[3, 10]));
    let words = [labels, "label 10 of image 1 is not below 10"];
    assert_fails(load_mnist(&scratch.0), ErrorKind::Data, &words);
    scratch.write(labels, &idx(&[2], &[3, 4]));
    scratch.write("t10k-images-idx3-ubyte", &idx(&[1, 3, 2], &[7; 6]));
    let words = ["training images are 2x3, test images are 3x2"];
    assert_fails(load_mnist(&scratch.0), ErrorKind::Data, &words);
}

/// On the real files, from `STRIATE_MNIST` or `data/mnist`.
#[test]
fn mnist_has_its_published_counts() {
    let dir = std::env::var_os("STRIATE_MNIST").unwrap_or("data/mnist".into());
    let dir = PathBuf::from(dir);
    if !dir.is_dir() {
        println!("skipped: no MNIST in {}", dir.display());
        return;
    }
    let Split { train, test } = load_mnist(&dir).unwrap();
    for (set, count, per_label) in [
        (
            train,
            60_000,
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        ),
        (
            test,
            10_000,
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
    ] {
        assert_eq!(
            (set.count, set.height, set.width, set.classes),
            (count, 28, 28, 10)
        );
        assert_eq!(set.images.len(), count * 28 * 28);
        let mut counts = [0; 10];
        for label in set.labels {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, per_label);
    }
}
