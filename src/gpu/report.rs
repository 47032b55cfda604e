//! Which faster paths a device runs, and what would turn the others on.

use std::fmt;

use super::adapter::{MOST_BINDING, default_body};
use super::{Gpu, cooperative};
use crate::kernel::{Body, Matrices, WINDOW};

/// One way to be faster, or to know more, that not every device offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastPath {
    /// What it is.
    pub name: &'static str,
    /// Whether this device runs it.
    pub is_on: bool,
    /// What it brings; where it is off, what would turn it on.
    pub note: String,
}

/// What [`Gpu::report`] says of a device, as lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// The device, by adapter, back end and driver.
    pub device: String,
    /// All paths, on or off.
    pub paths: Vec<FastPath>,
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        for path in &self.paths {
            let state = if path.is_on { "on " } else { "off" };
            write!(f, "\n  {state} {}: {}", path.name, path.note)?;
        }
        Ok(())
    }
}

impl Gpu {
    /// Which faster paths this device runs, and which feature, limit or option would turn on each
    /// of the others. All ops work without any of them.
    ///
    /// Of a borrowed device it is not known what its adapter offers beyond what the host asked for.
    ///
    /// ```no_run
    /// # fn main() -> striate::error::Result<()> {
    /// let gpu = striate::gpu::Gpu::new(&Default::default())?;
    /// println!("{}", gpu.report());
    /// # Ok(())
    /// # }
    /// ```
    pub fn report(&self) -> DeviceReport {
        let info = self.info();
        let paths = [
            self.shared_memory(),
            self.cooperative_matrices(),
            self.windows(),
            self.whole_values(),
            self.timestamps(),
            self.pipeline_cache(),
            self.measured_choices(),
            self.unchecked(),
        ];
        DeviceReport {
            device: format!("{} ({}, {})", info.name, info.backend, info.driver),
            paths: paths.into_iter().flatten().collect(),
        }
    }

    /// What turns on a feature that the device lacks.
    fn asks_for(&self, features: wgpu::Features) -> String {
        let names: Vec<&str> = features.iter_names().map(|(name, _)| name).collect();
        let names = names.join(", ");
        match &self.0.common.adapter {
            Some(adapter) if !adapter.features().contains(features) => {
                format!("its adapter does not offer {names}")
            }
            Some(_) => format!("GpuOptions::limits left it without {names}"),
            None => format!("make the device with {names}, where its adapter offers that"),
        }
    }

    fn shared_memory(&self) -> Option<FastPath> {
        let (is_on, info) = (self.caps().body != Body::Registers, self.info());
        let note = match is_on {
            true => "products and convolutions share tiles in workgroup memory",
            false if default_body(info.backend, info.device_type) == Body::Registers => {
                "on CPU adapters and through GL, products in registers are faster; \
                 GpuOptions::body chooses"
            }
            false => "GpuOptions::body chose registers",
        };
        Some(FastPath {
            name: "tiles in workgroup memory",
            is_on,
            note: note.to_owned(),
        })
    }

    fn cooperative_matrices(&self) -> Option<FastPath> {
        let caps = self.caps();
        let is_on = caps.body == Body::Cooperative && caps.matrices != Matrices::Plain;
        let common = &self.0.common;
        let note = if is_on {
            "factors are rounded to f16, sums are f32".to_owned()
        } else if caps.body == Body::Cooperative {
            "GpuOptions::matrices chose those that are written out, which are slow".to_owned()
        } else if let Some(adapter) = &common.adapter {
            match (
                common.matrices,
                adapter.features().contains(cooperative::FEATURES),
            ) {
                (Some(_), _) => {
                    "GpuOptions::body = Some(Body::Cooperative) asks for them; factors \
                                 are rounded to f16"
                        .to_owned()
                }
                (None, false) => self.asks_for(cooperative::FEATURES),
                (None, true) => "its adapter has none of 16 x 16 or 8 x 8, in f16 with sums in \
                                 f32, that fit the kernels' subgroups and workgroup memory"
                    .to_owned(),
            }
        } else if self.device().features().contains(cooperative::FEATURES) {
            "GpuOptions::body = Some(Body::Cooperative), with GpuOptions::matrices as Matrices::of \
             finds them, asks for them; factors are rounded to f16"
                .to_owned()
        } else {
            self.asks_for(cooperative::FEATURES)
        };
        Some(FastPath {
            name: "cooperative matrices",
            is_on,
            note,
        })
    }

    /// Of CPU adapters alone.
    fn windows(&self) -> Option<FastPath> {
        let (is_on, most) = (self.caps().windows, self.caps().max_uniform);
        let is_cpu = self.info().device_type == wgpu::DeviceType::Cpu;
        let note = match is_on {
            true => "operands are read through uniform bindings".to_owned(),
            false if most < WINDOW => {
                format!("max_uniform_buffer_binding_size is {most}, windows need {WINDOW}")
            }
            false => "GpuOptions::windows turned them off".to_owned(),
        };
        let path = FastPath {
            name: "windows",
            is_on,
            note,
        };
        (is_cpu || is_on).then_some(path)
    }

    fn whole_values(&self) -> Option<FastPath> {
        let most = self.caps().max_binding;
        let limits = self.device().limits();
        let offered = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size);
        // CPU adapters keep a window of it.
        let is_on = most >= MOST_BINDING - WINDOW;
        let mib = most >> 20;
        let note = if is_on {
            format!("values of up to {mib} MiB are in one part")
        } else if most < offered.min(MOST_BINDING).saturating_sub(WINDOW) {
            format!("GpuOptions::max_binding cuts values of more than {mib} MiB into parts")
        } else {
            format!(
                "values of more than {mib} MiB are cut into parts; a device with larger \
                 max_storage_buffer_binding_size and max_buffer_size, where its adapter has them, \
                 keeps them whole (required_limits says which a graph needs)"
            )
        };
        Some(FastPath {
            name: "large values in one part",
            is_on,
            note,
        })
    }

    fn timestamps(&self) -> Option<FastPath> {
        let is_on = self.has_timestamps();
        let note = match is_on {
            true => "steps can be profiled, and budgets of frames correct themselves".to_owned(),
            false => format!(
                "{}; until then no profiles, and the host tells frame times with \
                 Session::report_time",
                self.asks_for(wgpu::Features::TIMESTAMP_QUERY)
            ),
        };
        Some(FastPath {
            name: "timestamps",
            is_on,
            note,
        })
    }

    fn pipeline_cache(&self) -> Option<FastPath> {
        let feature = wgpu::Features::PIPELINE_CACHE;
        let is_on = self.device().features().contains(feature);
        let note = match is_on {
            true => "pipeline_cache_data can be kept for the next run, which starts faster then"
                .to_owned(),
            false => self.asks_for(feature),
        };
        Some(FastPath {
            name: "pipeline cache",
            is_on,
            note,
        })
    }

    fn measured_choices(&self) -> Option<FastPath> {
        let is_on = self.caps().tuning.is_some();
        let note = match is_on {
            true => "a table measured on this adapter goes before the rules",
            false => "`tune` measures one for the products of a network; GpuOptions::tuning",
        };
        Some(FastPath {
            name: "measured choices",
            is_on,
            note: note.to_owned(),
        })
    }

    fn unchecked(&self) -> Option<FastPath> {
        let checks = self.0.checks;
        let is_on = !checks.checked && !checks.zeroed;
        let note = match is_on {
            true => "the crate's own kernels run without the checks that translation adds",
            false => "GpuOptions::checked or zeroed keeps checks in the crate's own kernels",
        };
        Some(FastPath {
            name: "kernels without checks",
            is_on,
            note: note.to_owned(),
        })
    }
}
