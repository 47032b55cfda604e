//! The IDX reader against good and bad files.
#![cfg(feature = "data")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::{Compression, write::GzEncoder};

use striate::data::idx::{Images, read_images, read_labels};
use striate::data::{Emnist, Split, load_dir, load_emnist, load_mnist};
use striate::error::{ErrorKind, Result};
use striate::rng::Stream;

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
    let words = [
        "text",
        "expected magic 0x00000801, found 0x3c21444f: it is an HTML",
    ];
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
fn what_is_behind_gzip_data_is_zeros_or_an_error() {
    let scratch = Scratch::new("behind");
    let member = gzip(&idx(&[2], &[0, 1]));
    for rest in [vec![b'x'; 20], [vec![0; 5], vec![b'x'; 20]].concat()] {
        let path = scratch.write("bad", &[&member[..], &rest].concat());
        let words = ["bad", "gzip data is corrupt"];
        assert_fails(read_labels(&path), ErrorKind::Data, &words);
    }
    for zeros in [1, 2, 511, 70_000] {
        let path = scratch.write("padded", &[&member[..], &vec![0; zeros]].concat());
        assert_eq!(read_labels(&path).unwrap(), [0, 1]);
        // A set of several blocks, and another member after the padding.
        let pixels = uneven(40 * 50 * 50);
        let file = idx(&[40, 50, 50], &pixels);
        let (head, tail) = (gzip(&file[..30_000]), gzip(&file[30_000..]));
        let path = scratch.write("members", &[head, vec![0; zeros], tail].concat());
        assert_eq!(read_images(&path).unwrap().pixels, pixels);
    }
    // A member of no bytes is one.
    let path = scratch.write("empty", &[gzip(&[]), member].concat());
    assert_eq!(read_labels(&path).unwrap(), [0, 1]);
}

#[test]
fn files_of_another_kind_are_named() {
    let scratch = Scratch::new("kinds");
    let mut torch = b"PK\x03\x04\0\0\x08\x08".to_vec();
    torch.extend([0; 22]);
    torch.extend(b"mnist/data.pkl");
    torch.extend([0; 40]);
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9912422\n";
    for (bytes, words) in [
        (&b"<html><body>404</body></html>"[..], "an HTML"),
        (b"\r\n<!DOCTYPE html><html>", "an HTML"),
        (b"{\"message\": \"Not Found\"}", "JSON text"),
        (b"{}", "JSON text"),
        (lfs, "a Git LFS pointer"),
        (&torch, "a zip archive of torch.save"),
        (
            b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "a zip archive",
        ),
        (b"", "empty"),
        (b"Access denied", "plain text"),
    ] {
        for bytes in [bytes.to_vec(), gzip(bytes)] {
            let path = scratch.write("train", &bytes);
            assert_fails(read_images(&path), ErrorKind::Data, &["train", words]);
            assert_fails(read_labels(&path), ErrorKind::Data, &["train", words]);
        }
    }
    let twice = scratch.write("twice", &gzip(&gzip(&idx(&[1, 2, 3], &[0; 6]))));
    assert_fails(read_images(&twice), ErrorKind::Data, &["gzipped twice"]);
}

/// Nothing is read of what is no regular file, and nothing of one that is too long.
#[cfg(unix)]
#[test]
fn files_are_measured_before_they_are_read() {
    let scratch = Scratch::with_mnist("measured");
    let pipe = scratch.0.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert_fails(
        read_images(&pipe),
        ErrorKind::Io,
        &["pipe", "not a regular file"],
    );
    let folder = &scratch.0;
    assert_fails(read_images(folder), ErrorKind::Io, &["is a directory"]);
    for device in ["/dev/zero", "/dev/null"] {
        assert_fails(
            read_images(Path::new(device)),
            ErrorKind::Io,
            &["is a device"],
        );
    }
    // A set whose file is a pipe.
    let labels = "train-labels-idx1-ubyte";
    fs::rename(folder.join(labels), folder.join("kept")).unwrap();
    fs::rename(&pipe, folder.join(labels)).unwrap();
    assert_fails(load_mnist(folder), ErrorKind::Io, &[labels, "is a pipe"]);
    // A folder of the file's name, as archives are unpacked, hides no file.
    fs::remove_file(folder.join(labels)).unwrap();
    fs::create_dir(folder.join(labels)).unwrap();
    fs::rename(folder.join("kept"), folder.join("train-labels.idx1-ubyte")).unwrap();
    load_mnist(folder).unwrap();
    // Sparse files.
    for (bytes, words) in [
        (1 << 40, "holds 1099511627776 bytes, the limit is"),
        (1 << 30, "but more follow"),
    ] {
        let path = scratch.write("long", &idx(&[1, 2, 3], &[0; 6]));
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(bytes)
            .unwrap();
        assert_fails(read_images(&path), ErrorKind::Data, &["long", words]);
    }
}

/// 5,000 damaged files: an error, or all that the file holds.
#[test]
fn damaged_files_are_errors_or_whole() {
    let scratch = Scratch::new("damaged");
    let images = idx(&[6, 7, 5], &uneven(6 * 7 * 5));
    let zipped = [gzip(&images[..100]), gzip(&images[100..])].concat();
    let whole = read_images(&scratch.write("whole", &images)).unwrap();
    let (mut read, mut refused) = ([0, 0], [0, 0]);
    for (kind, file) in [&images, &zipped].into_iter().enumerate() {
        for number in 0..2500 {
            let bytes = damaged(file, number);
            let path = scratch.write("damaged", &bytes);
            match read_images(&path) {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Data, "{number}: {error}");
                    refused[kind] += 1;
                }
                Ok(found) => {
                    let dims = [found.count, found.height, found.width];
                    assert_eq!(found.pixels.len(), dims.iter().product::<usize>());
                    match kind {
                        0 => assert!(bytes == idx(&dims.map(|d| d as u32), &found.pixels)),
                        _ => assert!(found == whole, "{number}"),
                    }
                    read[kind] += 1;
                }
            }
        }
    }
    println!("read {read:?}, refused {refused:?} of raw and gzipped files");
    assert!(read.iter().chain(&refused).all(|&count| count > 20));
}

/// A file with up to four faults: bits and bytes changed, runs left out, doubled, zeroed or put
/// elsewhere, cut off, lengthened.
fn damaged(file: &[u8], number: u32) -> Vec<u8> {
    let stream = Stream::new(13, 1, number);
    let mut drawn = 0;
    let mut below = |n: usize| {
        drawn += 1;
        (stream.word(drawn) as usize) % n.max(1)
    };
    let mut bytes = file.to_vec();
    for _ in 0..1 + below(4) {
        // Headers are hit as often as all the rest.
        let within = if below(2) == 0 { 24 } else { bytes.len() };
        let at = below(within.min(bytes.len()));
        let end = (at + 1 + below(24)).min(bytes.len());
        match below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            2 if at < bytes.len() => bytes[at] = below(256) as u8,
            3 => drop(bytes.drain(at..end)),
            4 => bytes = [&bytes[..end], &bytes[at..]].concat(),
            5 => bytes[at..end].fill(0),
            6 => bytes.truncate(at),
            _ => bytes.extend((0..1 + below(30)).map(|_| below(3) as u8)),
        }
    }
    bytes
}

/// Set in the child, which runs in an address space of this many KiB.
#[cfg(target_os = "linux")]
const CHILD: &str = "STRIATE_ADDRESS_SPACE";

/// What a header promises is not allocated before it is known to be there, and then once.
#[cfg(target_os = "linux")]
#[test]
fn memory_follows_what_files_hold() {
    const MIB: usize = 1 << 20;
    if let Ok(dir) = std::env::var(CHILD) {
        let dir = Path::new(&dir);
        for name in ["raw", "zipped"] {
            let images = read_images(&dir.join(name)).unwrap();
            assert_eq!(images.pixels.len(), 400 * MIB);
        }
        for name in ["raw promise", "zipped promise"] {
            let words = ["1024x1024x1024, 1073741824 bytes, but"];
            assert_fails(read_images(&dir.join(name)), ErrorKind::Data, &words);
        }
        return;
    }
    let scratch = Scratch::new("memory");
    let header = idx(&[400, 1024, 1024], &[]);
    let file = fs::File::create(scratch.0.join("zipped")).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::fast());
    encoder.write_all(&header).unwrap();
    let block = vec![0; MIB];
    for _ in 0..400 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap();
    let path = scratch.write("raw", &header);
    let bytes = (400 * MIB + 16) as u64;
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(bytes)
        .unwrap();
    let promise = idx(&[1024, 1024, 1024], &vec![0; MIB]);
    scratch.write("raw promise", &promise);
    scratch.write("zipped promise", &gzip(&promise));
    // Room for the elements once, for the program, and for no second copy.
    let test = "memory_follows_what_files_hold";
    let limited = format!(
        "ulimit -v {} && exec \"$0\" --exact {test} --nocapture",
        750 << 10
    );
    let child = Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &scratch.0)
        .output()
        .unwrap();
    let text = [child.stdout, child.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(child.status.success(), "{}\n{}", text[0], text[1]);
}

#[test]
fn torchvision_folders_are_found() {
    let plain = Scratch::with_mnist("plain");
    let expected = load_mnist(&plain.0).unwrap();
    for below in ["MNIST/raw", "raw", "FashionMNIST/raw"] {
        let scratch = Scratch::new("torchvision");
        let raw = scratch.0.join(below);
        fs::create_dir_all(&raw).unwrap();
        for file in fs::read_dir(&plain.0).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), raw.join(file.file_name())).unwrap();
        }
        assert_eq!(load_mnist(&scratch.0).unwrap(), expected, "{below}");
        assert_eq!(load_dir(&scratch.0).unwrap(), expected, "{below}");
        assert_eq!(load_mnist(&raw).unwrap(), expected, "{below}");
    }
}

#[test]
fn letters_of_emnist_stand_upright() {
    let scratch = Scratch::new("emnist");
    for below in ["", "EMNIST/raw", "gzip"] {
        let dir = scratch.0.join(below);
        fs::create_dir_all(&dir).unwrap();
        let write = |part: &str, labels: &[u8]| {
            let count = labels.len() as u32;
            // The pixel in row r and column c of image i is 100 i + 10 r + c, once it stands
            // upright.
            let stored = (0..count).flat_map(|i| {
                let columns = (0..3).flat_map(move |c| (0..3).map(move |r| 100 * i + 10 * r + c));
                columns.map(|pixel| pixel as u8)
            });
            let images = idx(&[count, 3, 3], &stored.collect::<Vec<u8>>());
            let name = |what: &str| dir.join(format!("emnist-letters-{part}-{what}-ubyte.gz"));
            fs::write(name("images-idx3"), gzip(&images)).unwrap();
            fs::write(name("labels-idx1"), gzip(&idx(&[count], labels))).unwrap();
        };
        write("train", &[1, 26]);
        write("test", &[7]);
        for split in [
            load_emnist(&scratch.0, Emnist::Letters),
            load_dir(&scratch.0),
        ] {
            let Split { train, test } = split.unwrap();
            assert_eq!((train.classes, train.height, train.width), (26, 3, 3));
            assert_eq!(
                (&train.labels[..], &test.labels[..]),
                (&[0, 25][..], &[6][..])
            );
            assert_eq!(
                train.images[9..],
                [100, 101, 102, 110, 111, 112, 120, 121, 122]
            );
        }
        for (labels, words) in [
            ([0, 3], "label 0 of image 0 is below 1"),
            ([3, 27], "label 27 of image 1 is not below 27"),
        ] {
            write("train", &labels);
            assert_fails(load_dir(&scratch.0), ErrorKind::Data, &[words]);
        }
        let words = ["no file emnist-digits-train-images"];
        assert_fails(
            load_emnist(&scratch.0, Emnist::Digits),
            ErrorKind::Io,
            &words,
        );
        for part in ["train", "test"] {
            for what in ["images-idx3", "labels-idx1"] {
                let name = |set: &str| dir.join(format!("emnist-{set}-{part}-{what}-ubyte.gz"));
                fs::copy(name("letters"), name("balanced")).unwrap();
            }
        }
        assert_fails(load_dir(&scratch.0), ErrorKind::Io, &["balanced, letters"]);
        fs::remove_dir_all(&scratch.0).unwrap();
        fs::create_dir(&scratch.0).unwrap();
    }
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
            counts[label as usize] += 1;
        }
        assert_eq!(counts, per_label);
    }
}
