//! In which language is this? Four invented ones; each letter is as frequent in one as in
//! the others.
//!
//! Syllables are open ("ka") or closed ("ak"). Vowels are front or back; in two languages their
//! kind changes across hard consonants and stays across soft ones, in the others the reverse. Any
//! two letters alone are as frequent with the one rule as with the other, beside each other or
//! further apart: it takes three. And which letters are vowels, and of which kind, is to be found
//! out too.

use std::collections::HashSet;

use striate::data::{Chance, Dataset, Palette, Picture, Split};
use striate::nn::{
    BatchNorm1d, Conv1d, Flatten, GlobalAvgPool, Linear, Module, Relu, Sequential, from_fn,
};
use striate::prelude::*;
use striate::train::Trainer;

use crate::canvas::{Canvas, DARK, RIGHT, WRONG};
use crate::parts::{linear, sequence};
use crate::{Better, Common, Outcome, Recipe, engine, say};

/// Letters of a sentence, with spaces.
const LENGTH: usize = 48;
/// Six soft consonants, six hard ones, three front vowels, three back ones, and the space.
const ALPHABET: &[u8; 19] = b"BDGLMNKPRSTVEIYAOU ";
const CONSONANTS: usize = 12;
const SPACE: u8 = 18;
/// Each is a word of its own language.
const NAMES: [&str; 4] = ["kalo", "kilo", "alok", "ilok"];
/// Words of a language that are learnt from, and as many others.
const WORDS: usize = 1000;

/// Tells four invented languages apart
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What all programs take.
    #[command(flatten)]
    pub common: Common,
}

/// A word of two to four syllables, as numbers of letters.
fn word(language: usize, chance: &mut Chance) -> Vec<u8> {
    let [closed, soft_changes] = [language / 2, language % 2];
    let mut kind = chance.below(2);
    let mut word = Vec::new();
    for syllable in 0..2 + chance.below(3) {
        let consonant = chance.below(CONSONANTS);
        let changed = kind ^ soft_changes ^ usize::from(consonant >= CONSONANTS / 2);
        // In an open syllable the consonant lies before its vowel.
        if closed == 0 && syllable > 0 {
            kind = changed;
        }
        let vowel = CONSONANTS + 3 * kind + chance.below(3);
        let mut letters = [consonant as u8, vowel as u8];
        if closed == 1 {
            letters.reverse();
            kind = changed;
        }
        word.extend(letters);
    }
    word
}

/// So many words of a language, none of which is among those to be avoided.
fn lexicon(language: usize, seed: u64, avoided: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut known: HashSet<Vec<u8>> = avoided.iter().cloned().collect();
    let mut chance = Chance::of(seed, 1 << 32 | language as u64);
    let mut words = Vec::new();
    while words.len() < WORDS {
        let word = word(language, &mut chance);
        if known.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

/// Sentences of words of the languages, `misspelt` of whose letters are drawn anew. An image
/// has a channel for each letter, and a column for each place.
fn draw(count: usize, seed: u64, words: &[Vec<Vec<u8>>], misspelt: f64) -> Result<Dataset> {
    let labels: Vec<u32> = (0..count)
        .map(|index| (index % NAMES.len()) as u32)
        .collect();
    let mut images = vec![0; count * ALPHABET.len() * LENGTH];
    let each = images.chunks_mut(ALPHABET.len() * LENGTH);
    for (index, (image, &label)) in each.zip(&labels).enumerate() {
        let mut chance = Chance::of(seed, index as u64);
        let words = &words[label as usize];
        let mut sentence = Vec::new();
        while sentence.len() < 2 * LENGTH {
            sentence.extend(&words[chance.below(words.len())]);
            sentence.push(SPACE);
        }
        // It begins anywhere, also within a word.
        let from = chance.below(LENGTH);
        for (place, &letter) in sentence[from..][..LENGTH].iter().enumerate() {
            let wrong = letter != SPACE && chance.unit() < misspelt;
            let other = chance.below(usize::from(SPACE));
            let letter = if wrong { other } else { letter.into() };
            image[letter * LENGTH + place] = 255;
        }
    }
    let size = [ALPHABET.len(), 1, LENGTH];
    Dataset::new(images, labels, size, NAMES.len())?.with_names(NAMES)
}

/// Numbers by which the network knows a letter.
const FEATURES: usize = 8;

/// A vector for each letter, then convolutions along them.
fn network() -> Sequential {
    let block = |channels, out| {
        Sequential::new()
            .named("conv", Conv1d::new(channels, out, 5).padding(2).bias(false))
            .named("norm", BatchNorm1d::new(out))
            .then(Relu)
    };
    Sequential::new()
        .then(sequence())
        .named(
            "letters",
            Conv1d::new(ALPHABET.len(), FEATURES, 1).bias(false),
        )
        .named("block1", block(FEATURES, 32))
        .named("block2", block(32, 32))
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", Linear::new(32, NAMES.len()))
}

/// A weight for each letter, wherever it stands.
fn counts() -> Sequential {
    let fc = Linear::new(ALPHABET.len(), NAMES.len());
    Sequential::new()
        .then(GlobalAvgPool)
        .then(Flatten)
        .named("fc", fc)
}

/// A weight for each two letters that stand beside each other, or with one between, wherever.
fn pairs() -> Sequential {
    let counts = from_fn(|cx, x| {
        let g = cx.graph();
        let mut counts = Vec::new();
        for apart in [1, 2] {
            let first = g.narrow(x, 2, 0, LENGTH - apart)?;
            let second = g.narrow(x, 2, apart, LENGTH - apart)?;
            counts.push(g.matmul(first, second, false, true)?);
        }
        g.concat(&counts, 1)
    });
    let numbers = 2 * ALPHABET.len().pow(2);
    Sequential::new()
        .then(sequence())
        .then(counts)
        .then(Flatten)
        .named("norm", BatchNorm1d::new(numbers))
        .named("fc", Linear::new(numbers, NAMES.len()))
}

const INK: [u8; 3] = [30, 30, 40];
/// Pixels of a letter's place.
const CELL: [usize; 2] = [12, 18];

/// Sentences, each letter on a colour that says how much it speaks for the language (red) or
/// against it (blue): by how much the score falls if the letter is blotted out. Beside them stand
/// the answers, and how alike the vectors of letters are.
fn picture(trainer: &mut Trainer, test: &Dataset) -> Result<Picture> {
    const ROWS: usize = 12;
    let left = 12 + CELL[0] * LENGTH;
    let side = CELL[0] * ALPHABET.len();
    let height = ROWS * (CELL[1] + 4) + 10;
    let mut canvas = Canvas::new([left + 64 + side + 34, height.max(side + 40)], DARK);
    let size = ALPHABET.len() * LENGTH;
    for row in 0..ROWS {
        let image = &test.images[row * size..][..size];
        let language = row % NAMES.len();
        let mut variants = image.to_vec();
        for place in 0..LENGTH {
            let mut blotted = image.to_vec();
            blotted
                .iter_mut()
                .skip(place)
                .step_by(LENGTH)
                .for_each(|pixel| *pixel = 0);
            variants.extend(blotted);
        }
        let made = trainer.predict(&variants)?;
        let logits = made.as_f32()?;
        // The score of a language is its logit above the mean of all.
        let score = |logits: &[f32]| logits[language] - logits.iter().sum::<f32>() / 4.0;
        let scores: Vec<f32> = logits.chunks(NAMES.len()).map(score).collect();
        let falls: Vec<f32> = scores[1..].iter().map(|other| scores[0] - other).collect();
        let most = falls
            .iter()
            .fold(1e-6, |most: f32, fall| most.max(fall.abs()));
        let top = 6 + row * (CELL[1] + 4);
        for (place, fall) in falls.iter().enumerate() {
            let at = [6 + place * CELL[0], top];
            canvas.fill(at, CELL, Palette::Coolwarm.colour(0.5 + 0.5 * fall / most));
            let letter = (0..ALPHABET.len()).find(|letter| image[letter * LENGTH + place] > 0);
            let letter = ALPHABET[letter.unwrap_or(SPACE.into())] as char;
            let corner = [at[0] as f64 + 2.5, at[1] as f64 + 4.0];
            canvas.write(corner, 10.0, &letter.to_string(), INK);
        }
        let answer = (0..NAMES.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        let answer = answer.unwrap_or(0);
        let colour = [WRONG, RIGHT][usize::from(answer == language)];
        canvas.write(
            [left as f64 + 6.0, top as f64 + 4.0],
            10.0,
            NAMES[answer],
            colour,
        );
    }
    // Cosines of the angles between the letters' vectors around their mean.
    let weight = trainer.store().get("letters.weight")?;
    let weight = weight.as_f32()?;
    let vector = |letter: usize| {
        std::array::from_fn::<f32, FEATURES, _>(|feature| {
            let row = &weight[feature * ALPHABET.len()..][..ALPHABET.len()];
            row[letter] - row.iter().sum::<f32>() / ALPHABET.len() as f32
        })
    };
    let dot = |a: [f32; FEATURES], b| a.iter().zip::<[f32; FEATURES]>(b).map(|(a, b)| a * b).sum();
    let corner = [left + 64 + 20, 30];
    for (row, &letter) in ALPHABET.iter().enumerate() {
        for column in 0..ALPHABET.len() {
            let [a, b] = [row, column].map(vector);
            let [aa, ab, bb]: [f32; 3] = [dot(a, a), dot(a, b), dot(b, b)];
            let cosine = ab / (aa * bb).sqrt().max(1e-12);
            let at = [corner[0] + column * CELL[0], corner[1] + row * CELL[0]];
            let colour = Palette::Coolwarm.colour(0.5 + 0.5 * cosine);
            canvas.fill(at, [CELL[0] - 1; 2], colour);
        }
        let letter = (letter as char).to_string();
        let [x, y] = corner.map(|edge| edge as f64);
        let along = (row * CELL[0]) as f64 + 2.0;
        canvas.write([x - 13.0, y + along], 8.0, &letter, [200; 3]);
        canvas.write([x + along, y - 13.0], 8.0, &letter, [200; 3]);
    }
    canvas.picture()
}

/// Trains all four, and says how many sentences of other words they tell rightly, in percent.
///
/// # Errors
/// Those of training and of drawing pictures.
pub fn run(args: &Args) -> Result<Outcome> {
    let common = &args.common;
    let (of, others_of) = (common.training_seed(), common.held_out_seed());
    let languages = 0..NAMES.len();
    let learnt: Vec<_> = languages
        .map(|language| lexicon(language, of, &[]))
        .collect();
    let others = learnt.iter().enumerate();
    let others: Vec<_> = others
        .map(|(language, known)| lexicon(language, others_of, known))
        .collect();
    let count = common.pick(4000, 2000);
    let data = Split {
        train: draw(count, of, &learnt, 0.1)?,
        test: draw(1000, others_of, &others, 0.2)?,
    };
    let engine = engine()?;
    let fit = |net: &dyn Module, epochs: usize, rate: f32| {
        Recipe::classes(epochs, rate, 40).judged(&engine, net, &data, common)
    };
    say("a linear model of how often each letter is there:")?;
    let (_, by_counts) = fit(&counts(), common.pick(5, 3), 0.02)?;
    say("a linear model of what stands where:")?;
    let (_, by_places) = fit(
        &linear(ALPHABET.len() * LENGTH, NAMES.len()),
        common.pick(5, 3),
        0.005,
    )?;
    say("a linear model of pairs of letters:")?;
    let (_, by_pairs) = fit(&pairs(), common.pick(5, 3), 0.005)?;
    say("convolutions along the letters:")?;
    let (mut trainer, by_filters) = fit(&network(), common.pick(8, 6), 0.01)?;
    common.write("text.png", &picture(&mut trainer, &data.test)?)?;
    Ok(Outcome::new(
        "accuracy on 1,000 held-out sentences of other words, with more misspellings",
        "%",
        Better::Higher,
        by_filters,
        common.pick(95.0, 85.0),
    )
    .beside_below("a linear model of letters at places", by_places, 75.0)
    .beside_below("a linear model of letter counts", by_counts, 75.0)
    .beside_below("a linear model of pairs of letters", by_pairs, 75.0)
    .beside("the constant answer", 25.0))
}
