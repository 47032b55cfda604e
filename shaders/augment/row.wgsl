// Provider of the numbers of a row's words, those of src/ops/augment/row.rs. The first six are a
// matrix of coordinates with 16 bits behind the point.

const ROW: u32 = 24u;
const FLAGS: u32 = 6u; // bit 0: linear; bits 1 and 2: border (0 fill, 1 reflect, else edge)
const FILL: u32 = 7u;
const SHARPNESS: u32 = 8u; // factors have 20 bits behind the point
const LEVELS: u32 = 9u; // 1 autocontrast, 2 equalize
const CONTRAST: u32 = 10u;
const SATURATION: u32 = 11u;
const BRIGHTNESS: u32 = 12u;
const MASK: u32 = 13u;
const THRESHOLD: u32 = 14u;
const NOISE: u32 = 15u; // factor with 16 bits behind the point
const KEY: u32 = 16u;
const BOX_X: u32 = 18u;
const BOX_Y: u32 = 19u;
const BOX_WIDTH: u32 = 20u;
const BOX_HEIGHT: u32 = 21u;
const SHARE: u32 = 22u; // of 65536

const ONE: i32 = 1048576; // a factor of 1

// A word of the row that changes nothing.
fn neutral(word: u32) -> u32 {
    if word == 0u || word == 4u || word == SHARE {
        return 65536u;
    }
    if word == SHARPNESS || (word >= CONTRAST && word <= BRIGHTNESS) {
        return u32(ONE);
    }
    return select(select(0u, 256u, word == THRESHOLD), 255u, word == MASK);
}
