//! Every program of the gallery learns, in its short form, and beats the simpler answers.

use std::path::Path;
use std::process::Command;

use striate::gpu::{Gpu, GpuOptions};

/// Runs the program's short form as its user would, and expects what it promises.
fn learns(words: &[&str]) {
    if Gpu::all(&GpuOptions::default()).iter().all(Result::is_err) {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "STRIATE_REQUIRE_GPU is 1 and no adapter was found"
        );
        println!("SKIPPED {words:?}: no adapter was found, and the CPU reference is slow");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(words.join("_"));
    let _ = std::fs::remove_dir_all(&folder);
    let run = Command::new(env!("CARGO_BIN_EXE_striate-gallery"))
        .args(words)
        .args(["--short", "--expect", "--out"])
        .arg(&folder)
        .output()
        .unwrap();
    let [said, told] = [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(run.status.success(), "{words:?}:\n{said}\n{told}");
    let pictures = std::fs::read_dir(&folder).unwrap().count();
    assert!(pictures > 0, "{words:?} draws nothing");
}

#[test]
fn denoise_photo() {
    learns(&["denoise_photo"]);
}

#[test]
fn depth() {
    learns(&["depth"]);
}

#[test]
fn detect() {
    learns(&["detect"]);
}

#[test]
fn drive() {
    learns(&["drive"]);
}

#[test]
fn faces() {
    learns(&["faces"]);
}

#[test]
fn handwriting() {
    learns(&["handwriting"]);
}

#[test]
fn inpaint() {
    learns(&["inpaint"]);
}

#[test]
fn overfit() {
    learns(&["overfit"]);
}

#[test]
fn robust() {
    learns(&["robust"]);
}

#[test]
fn segment() {
    learns(&["segment"]);
}

#[test]
fn sound() {
    learns(&["sound"]);
}

#[test]
fn style() {
    learns(&["style"]);
}

#[test]
fn text() {
    learns(&["text"]);
}

#[test]
fn texture() {
    learns(&["texture"]);
}

#[test]
fn upscale() {
    learns(&["upscale"]);
}

#[test]
fn video() {
    learns(&["video"]);
}

#[test]
fn segment_volume() {
    learns(&["segment", "--volume"]);
}

#[test]
fn paths_that_cannot_be_written_are_named() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("paths");
    let _ = std::fs::remove_dir_all(&place);
    let [file, taken] = ["a_file", "taken"].map(|name| place.join(name));
    // The picture's place is taken by a folder.
    std::fs::create_dir_all(taken.join("faces.png")).unwrap();
    std::fs::write(&file, "no folder").unwrap();
    for (folder, words) in [
        (&file, "cannot make the folder"),
        (&taken, "faces.png: cannot be written"),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_striate-gallery"))
            .args(["faces", "--short", "--out"])
            .arg(folder)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success());
        assert!(told.contains(words), "{told}");
        // Before anything is learnt.
        assert!(run.stdout.is_empty(), "{told}");
    }
}
