// Provider of is_not_finite4, transferred, restored and shown: between the light of a texel and the
// numbers of a network, as src/ops/texture/transfer.rs has them.

// ln(1 + 65504), of the largest number of half precision.
const LOG_RANGE: f32 = 11.089881755;

fn is_not_finite4(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7f800000u)) == vec4<u32>(0x7f800000u);
}

// Light as sRGB (IEC 61966-2-1).
fn srgb(light: f32) -> f32 {
    let x = clamp(light, 0.0, 1.0);
    return select(1.055 * pow(x, 1.0 / 2.4) - 0.055, 12.92 * x, x <= 0.0031308);
}

// A texel for the network: 1 clamped to [0, 1], 2 a direction from [0, 1] to [-1, 1], 3 as sRGB,
// 4 as a logarithm; 8 more where the light is multiplied by `exposure` first.
fn transferred(texel: f32, transfer: u32, exposure: f32) -> f32 {
    let x = select(texel, texel * exposure, transfer >= 8u);
    switch transfer & 7u {
        case 1u: {
            return clamp(x, 0.0, 1.0);
        }
        case 2u: {
            return 2.0 * x - 1.0;
        }
        case 3u: {
            return srgb(x);
        }
        case 4u: {
            return log(1.0 + max(x, 0.0)) / LOG_RANGE;
        }
        default: {
            return x;
        }
    }
}

// A number of the network as light: the inverse of the transfer 2, 3 or 4 (8 more: divided by
// `exposure` then). Light beyond what half precision holds is cut.
fn restored(number: f32, transfer: u32, exposure: f32) -> f32 {
    var x = number;
    switch transfer & 7u {
        case 2u: {
            x = 0.5 * number + 0.5;
        }
        case 3u: {
            let v = clamp(number, 0.0, 1.0);
            x = select(pow((v + 0.055) / 1.055, 2.4), v / 12.92, v <= 0.04045);
        }
        case 4u: {
            x = exp(clamp(number, 0.0, 1.0) * LOG_RANGE) - 1.0;
        }
        default: {}
    }
    return select(x, x / exposure, transfer >= 8u);
}

// Light as it is shown: 0 as it is, 1 as sRGB, 2 through the curve of ACES (K. Narkowicz, "ACES
// filmic tone mapping curve", 2015) and as sRGB.
fn shown(light: f32, curve: u32) -> f32 {
    if curve == 0u {
        return light;
    }
    let x = max(light, 0.0);
    // Beyond 1e4 the curve is flat, and squares would overflow.
    let y = min(x, 1e4);
    let film = y * (2.51 * y + 0.03) / (y * (2.43 * y + 0.59) + 0.14);
    return srgb(select(x, film, curve == 2u));
}
