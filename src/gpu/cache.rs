//! What a driver knows of pipelines, as bytes that outlive the process.

use super::trusted;

/// What the bytes begin with, before the checksum.
const MAGIC: [u8; 8] = *b"striate1";

/// A name for the adapters that may share data; none if the device keeps no cache.
pub(super) fn key(device: &wgpu::Device) -> Option<String> {
    let kept = device.features().contains(wgpu::Features::PIPELINE_CACHE);
    kept.then(|| wgpu::util::pipeline_cache_key(&device.adapter_info()))?
}

/// A cache that begins with `data` from an earlier run if it is whole and the device's, and empty
/// otherwise; none if the device keeps none.
pub(super) fn create(device: &wgpu::Device, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
    let key = key(device)?;
    let attempt = |data: Option<&[u8]>| {
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let cache = trusted::create_pipeline_cache(device, data);
        let (memory, validation) = (memory.pop(), validation.pop());
        // Only native devices keep caches, and their scopes do not wait.
        let error = pollster::block_on(memory).or(pollster::block_on(validation));
        match error {
            None => Ok(cache),
            Some(error) => Err(error.to_string()),
        }
    };
    if let Some(data) = data {
        match unsealed(&key, data)
            .map_err(str::to_owned)
            .and_then(|d| attempt(Some(d)))
        {
            Ok(cache) => return Some(cache),
            Err(error) => log::warn!("the data for the pipeline cache is left out: {error}"),
        }
    }
    let empty = attempt(None);
    empty
        .map_err(|error| log::warn!("no pipeline cache: {error}"))
        .ok()
}

/// What the driver keeps, for `create` in a later run.
pub(super) fn data(device: &wgpu::Device, cache: &wgpu::PipelineCache) -> Option<Vec<u8>> {
    Some(sealed(&key(device)?, &cache.get_data()?))
}

/// wgpu looks at the header of its data, drivers trust the rest: so the data travels with a
/// checksum, of the adapter's key too.
fn sealed(key: &str, data: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &checksum(key, data), data].concat()
}

/// The data within, or why it is not used.
fn unsealed<'a>(key: &str, sealed: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let rest = sealed
        .strip_prefix(&MAGIC)
        .ok_or("it is not from this library")?;
    match rest.split_first_chunk() {
        Some((sum, data)) if *sum == checksum(key, data) => Ok(data),
        _ => Err("it is damaged, or from another adapter"),
    }
}

/// 64-bit FNV-1a (Fowler, Noll and Vo) of the key, a zero and the data.
fn checksum(key: &str, data: &[u8]) -> [u8; 8] {
    let bytes = key.bytes().chain([0]).chain(data.iter().copied());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    sum.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_data_of_the_adapter_passes() {
        let whole = sealed("here", b"what a driver keeps");
        assert_eq!(unsealed("here", &whole), Ok(&b"what a driver keeps"[..]));
        assert_eq!(unsealed("here", &sealed("here", b"")), Ok(&b""[..]));
        assert!(unsealed("there", &whole).is_err());
        for i in 0..whole.len() {
            assert!(unsealed("here", &whole[..i]).is_err(), "cut at {i}");
            let mut damaged = whole.clone();
            damaged[i] ^= 1;
            assert!(unsealed("here", &damaged).is_err(), "damaged at {i}");
        }
        assert!(unsealed("here", &[whole.clone(), vec![0]].concat()).is_err());
    }
}
