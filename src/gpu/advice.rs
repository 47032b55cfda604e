//! What is said where no adapter matches: what was looked for, what there is, and what may help.

use super::GpuOptions;
use crate::error::{Error, ErrorKind};

/// The variable that names back ends where options name none.
const BACKEND: &str = "WGPU_BACKEND";
/// The variable that names an adapter where options name none.
pub(super) const ADAPTER: &str = "WGPU_ADAPTER_NAME";

/// Back ends as people write them.
const NAMES: [(&str, wgpu::Backends); 5] = [
    ("vulkan", wgpu::Backends::VULKAN),
    ("metal", wgpu::Backends::METAL),
    ("dx12", wgpu::Backends::DX12),
    ("gl", wgpu::Backends::GL),
    ("webgpu", wgpu::Backends::BROWSER_WEBGPU),
];

impl GpuOptions {
    /// The error where no adapter matches these options: it says what was looked for, lists the
    /// adapters that there are, and what to install on this platform if there are none.
    pub async fn no_adapter_async(&self) -> Error {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends = wgpu::Backends::all();
        let instance = wgpu::Instance::new(descriptor);
        let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        let there: Vec<String> = adapters
            .iter()
            .map(|adapter| {
                let info = adapter.get_info();
                format!("\"{}\" ({})", info.name, info.backend)
            })
            .collect();
        let asked = self.backends.or_else(wgpu::Backends::from_env);
        let wanted = match (self.backends, variable(BACKEND)) {
            (None, Some(value)) => format!("{BACKEND} \"{value}\""),
            _ => asked.map_or("any back end".to_owned(), names),
        };
        let name = match (&self.adapter, variable(ADAPTER)) {
            (Some(name), _) => format!(" named \"{name}\""),
            (None, Some(value)) => format!(" named \"{value}\" ({ADAPTER})"),
            (None, None) => String::new(),
        };
        let mut message = format!("no adapter{name} was found on {wanted}");
        if unknown_backends(self) {
            message += &format!("; back ends are {}", names(wgpu::Backends::all()));
        }
        if there.is_empty() {
            let asked = asked.filter(|asked| !asked.is_empty());
            let asked = asked.unwrap_or(wgpu::Backends::all());
            let os = std::env::consts::OS;
            message += &format!("; {}", advice(os, is_debian(os), asked));
        } else {
            message += &format!("; there are {}", there.join(", "));
        }
        Error::new(ErrorKind::NoAdapter, message)
    }

    /// As `no_adapter_async`, waiting for it.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn no_adapter(&self) -> Error {
        pollster::block_on(self.no_adapter_async())
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether a variable names a back end or an adapter.
pub(super) fn environment_names_one() -> bool {
    [BACKEND, ADAPTER].map(std::env::var_os) != [None, None]
}

/// Whether the variable for back ends counts and holds a name that wgpu does not know, which it
/// leaves out with a line in the log.
pub(super) fn unknown_backends(options: &GpuOptions) -> bool {
    let value = match options.backends {
        Some(_) => None,
        None => variable(BACKEND),
    };
    value.is_some_and(|value| {
        let mut names = value.split(',');
        names.any(|name| wgpu::Backends::from_comma_list(name).is_empty())
    })
}

fn names(backends: wgpu::Backends) -> String {
    let named = NAMES.iter().filter(|(_, one)| backends.contains(*one));
    let names: Vec<&str> = named.map(|(name, _)| *name).collect();
    match names.is_empty() {
        true => "no back end".to_owned(),
        false => names.join(", "),
    }
}

/// Whether the system installs packages with apt.
fn is_debian(os: &str) -> bool {
    let release = || std::fs::read_to_string("/etc/os-release");
    os == "linux" && release().is_ok_and(|text| names_debian(&text))
}

/// Whether the content of `/etc/os-release` names Debian, or a system like it.
fn names_debian(release: &str) -> bool {
    let lines = release.lines().filter_map(|line| line.split_once('='));
    let mut ids = lines.filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"));
    ids.any(|(_, value)| {
        let mut words = value.trim_matches(['"', '\'']).split_whitespace();
        words.any(|word| matches!(word, "debian" | "ubuntu"))
    })
}

/// What may bring an adapter for one of the back ends `asked`, on a platform that Rust calls `os`.
fn advice(os: &str, debian: bool, asked: wgpu::Backends) -> String {
    use wgpu::Backends;
    let here = match os {
        "windows" => Backends::VULKAN | Backends::DX12 | Backends::GL,
        "macos" | "ios" => Backends::METAL,
        "unknown" | "" | "emscripten" => Backends::BROWSER_WEBGPU | Backends::GL,
        _ => Backends::VULKAN | Backends::GL,
    };
    if !asked.intersects(here) {
        let (asked, here) = (names(asked), names(here));
        return format!("{asked} is not for this platform, which has {here}");
    }
    let built = [
        (cfg!(feature = "vulkan"), Backends::VULKAN),
        (cfg!(feature = "metal"), Backends::METAL),
        (cfg!(feature = "dx12"), Backends::DX12),
        (cfg!(feature = "gl"), Backends::GL),
        (cfg!(feature = "webgpu"), Backends::BROWSER_WEBGPU),
    ];
    let left_out = built
        .iter()
        .filter(|(built, one)| !built && (asked & here).contains(*one));
    let left_out = left_out.fold(Backends::empty(), |all, (_, one)| all | *one);
    if left_out == asked & here {
        return format!("the library was built without {}", names(left_out));
    }
    let vulkan = asked.contains(Backends::VULKAN);
    match os {
        "linux" if debian && vulkan => {
            "`apt install mesa-vulkan-drivers` provides a software one".to_owned()
        }
        "linux" if debian => {
            "`apt install libegl1 libgl1-mesa-dri` provides a software one".to_owned()
        }
        "linux" if vulkan => {
            "Mesa's Vulkan drivers, a package of the distribution, provide a software one \
             (lavapipe)"
                .to_owned()
        }
        "linux" => "Mesa's EGL library and drivers, packages of the distribution, provide a \
                    software one (llvmpipe)"
            .to_owned(),
        "windows" if asked.contains(Backends::DX12) => {
            "the graphics driver brings one; Windows itself has a software one for dx12".to_owned()
        }
        "windows" => format!(
            "the driver of the graphics card brings {}; Windows itself has a software adapter for \
             dx12",
            names(asked & here)
        ),
        "macos" | "ios" => "the system brings Metal; a virtual machine may have none".to_owned(),
        "unknown" | "" | "emscripten" => "the browser has no WebGPU, or it is turned \
         off"
        .to_owned(),
        _ => format!("the graphics driver brings {}", names(asked & here)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::Backends;

    #[test]
    fn advice_fits_platform_and_back_end() {
        let all = Backends::all();
        let says = |os, debian, asked, words: &str| {
            let text = advice(os, debian, asked);
            assert!(text.contains(words), "{os}: {text}");
            let apt = os == "linux" && debian;
            assert_eq!(
                text.contains("apt "),
                apt && !text.contains("platform"),
                "{os}: {text}"
            );
        };
        says("linux", true, all, "mesa-vulkan-drivers");
        says("linux", true, Backends::VULKAN, "mesa-vulkan-drivers");
        says("linux", true, Backends::GL, "libegl1");
        says(
            "linux",
            false,
            all,
            "Vulkan drivers, a package of the distribution",
        );
        says("linux", false, Backends::GL, "EGL library");
        says(
            "linux",
            true,
            Backends::METAL,
            "metal is not for this platform, which has vulkan, gl",
        );
        says("windows", false, all, "software one for dx12");
        says("windows", false, Backends::VULKAN, "brings vulkan");
        says("macos", false, all, "Metal");
        says(
            "macos",
            false,
            Backends::DX12,
            "dx12 is not for this platform, which has metal",
        );
        says("freebsd", false, all, "graphics driver");
    }

    #[test]
    fn debian_is_told_by_its_release() {
        for (text, debian) in [
            ("PRETTY_NAME=\"Debian\"\nID=debian\n", true),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", true),
            ("ID=ubuntu\nID_LIKE=debian\n", true),
            ("ID=fedora\nHOME_URL=\"https://debian.org\"\n", false),
            ("ID_LIKE=\"rhel fedora\"\n", false),
            ("", false),
        ] {
            assert_eq!(names_debian(text), debian, "{text}");
        }
    }

    #[test]
    fn what_is_looked_for_and_what_there_is_are_listed() {
        let options = GpuOptions {
            adapter: Some("no such card".into()),
            backends: Some(Backends::VULKAN | Backends::GL),
            ..GpuOptions::default()
        };
        let error = crate::gpu::Gpu::new(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoAdapter);
        let text = error.to_string();
        let words = "no adapter named \"no such card\" was found on vulkan, gl; ";
        assert!(text.starts_with(words), "{text}");
        let there = crate::gpu::Gpu::all(&GpuOptions::default());
        for gpu in there.into_iter().flatten() {
            let name = format!("\"{}\" ({})", gpu.info().name, gpu.info().backend);
            assert!(text.contains(&name), "no {name} in {text}");
        }
    }
}
