//! AMD's compiler in Mesa (RADV), for cards that are not there.
//!
//! With `RADV_FORCE_FAMILY` set, the driver makes a device that compiles and never runs. wgpu gives
//! such a device up as lost, so the few calls of Vulkan are made here.

#![allow(
    unsafe_code,
    reason = "Vulkan's calls are unsafe, and wgpu does not hand out what compilers say"
)]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::PathBuf;

use ash::{Entry, vk};
use naga::{AddressSpace, ImageClass, Module, TypeInner};
use serde::{Deserialize, Serialize};

/// What the driver made of a kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Program {
    /// The driver's name and version.
    pub driver: String,
    /// Registers, spills and so on, by the driver's names.
    pub statistics: BTreeMap<String, u64>,
    pub assembly: String,
}

/// A buffer or texture that a kernel binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    number: u32,
    kind: BoundKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum BoundKind {
    Storage,
    Uniform,
    Texture,
    StorageTexture,
}

/// What a module binds.
pub fn bindings(module: &Module) -> Vec<Bound> {
    let globals = module.global_variables.iter();
    let bound = globals.filter_map(|(_, global)| {
        let number = global.binding.as_ref()?.binding;
        let kind = match (&module.types[global.ty].inner, global.space) {
            (TypeInner::Image { class, .. }, _) => match class {
                ImageClass::Storage { .. } => BoundKind::StorageTexture,
                _ => BoundKind::Texture,
            },
            (_, AddressSpace::Uniform) => BoundKind::Uniform,
            _ => BoundKind::Storage,
        };
        Some(Bound { number, kind })
    });
    bound.collect()
}

/// The file by which Vulkan's loader finds the driver, if it is installed: that of this processor's
/// architecture, where there are several.
pub fn file() -> Option<PathBuf> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default().to_owned()
    };
    let found = paths.filter(|path| {
        let name = name(path);
        name.starts_with("radeon_icd") && name.ends_with(".json")
    });
    found.max_by_key(|path| name(path).contains(std::env::consts::ARCH))
}

/// A device of the driver that the environment chooses.
pub struct Device {
    driver: String,
    device: ash::Device,
    properties: ash::khr::pipeline_executable_properties::Device,
    instance: ash::Instance,
    _entry: Entry,
}

impl Device {
    /// # Errors
    /// If there is no loader, no device, or one that tells nothing of what it compiles.
    pub fn new() -> Result<Self, String> {
        // SAFETY: the entry outlives what is made from it, in this struct; extension and features
        // are asked for as the specification demands.
        unsafe {
            let entry = Entry::load().map_err(|e| format!("no Vulkan loader: {e}"))?;
            let app = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
            let create = vk::InstanceCreateInfo::default().application_info(&app);
            let instance = entry
                .create_instance(&create, None)
                .map_err(|e| format!("no Vulkan: {e}"))?;
            let found = instance.enumerate_physical_devices().unwrap_or_default();
            let physical = *found.first().ok_or("the driver has no device")?;
            let mut told = vk::PhysicalDeviceDriverProperties::default();
            let mut both = vk::PhysicalDeviceProperties2::default().push_next(&mut told);
            instance.get_physical_device_properties2(physical, &mut both);
            let text = |chars: &[std::ffi::c_char]| {
                CStr::from_ptr(chars.as_ptr())
                    .to_string_lossy()
                    .into_owned()
            };
            let driver = format!("{} {}", text(&told.driver_name), text(&told.driver_info));
            let queue = [vk::DeviceQueueCreateInfo::default()
                .queue_family_index(0)
                .queue_priorities(&[1.0])];
            let extensions = [ash::khr::pipeline_executable_properties::NAME.as_ptr()];
            let mut features = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
                .pipeline_executable_info(true);
            let create = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queue)
                .enabled_extension_names(&extensions)
                .push_next(&mut features);
            let device = instance
                .create_device(physical, &create, None)
                .map_err(|e| format!("the driver tells nothing of what it compiles: {e}"))?;
            let properties =
                ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Self {
                driver,
                device,
                properties,
                instance,
                _entry: entry,
            })
        }
    }

    /// Compiles SPIR-V with the entry point `main` and these bindings of group 0.
    ///
    /// # Errors
    /// If the driver refuses it.
    pub fn compile(&self, bindings: &[Bound], words: &[u32]) -> Result<Program, String> {
        let bindings = bindings.iter().map(|bound| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(bound.number)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
                .descriptor_type(match bound.kind {
                    BoundKind::Storage => vk::DescriptorType::STORAGE_BUFFER,
                    BoundKind::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                    BoundKind::Texture => vk::DescriptorType::SAMPLED_IMAGE,
                    BoundKind::StorageTexture => vk::DescriptorType::STORAGE_IMAGE,
                })
        });
        let bindings: Vec<_> = bindings.collect();
        // SAFETY: all handles are of this device; structs outlive the calls that read them.
        unsafe {
            let device = &self.device;
            let failed = |e: vk::Result| format!("the driver refuses it: {e}");
            let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device
                .create_descriptor_set_layout(&create, None)
                .map_err(failed)?];
            let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device
                .create_pipeline_layout(&create, None)
                .map_err(failed)?;
            let create = vk::ShaderModuleCreateInfo::default().code(words);
            let module = device.create_shader_module(&create, None).map_err(failed)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let create = vk::ComputePipelineCreateInfo::default()
                .stage(stage)
                .layout(layout)
                .flags(
                    vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                        | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
                );
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let pipeline = made.map_err(|(_, e)| failed(e))?[0];
            let info = vk::PipelineExecutableInfoKHR::default()
                .pipeline(pipeline)
                .executable_index(0);
            let told = self.properties.get_pipeline_executable_statistics(&info);
            let statistics = told.map_err(failed)?.into_iter().map(|one| {
                let name = CStr::from_ptr(one.name.as_ptr()).to_string_lossy();
                // All that this driver tells are whole numbers.
                (name.into_owned(), one.value.u64)
            });
            let program = Program {
                driver: self.driver.clone(),
                statistics: statistics.collect(),
                assembly: self.assembly(&info)?,
            };
            device.destroy_pipeline(pipeline, None);
            device.destroy_shader_module(module, None);
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            Ok(program)
        }
    }

    /// The representation of a pipeline that is assembly.
    fn assembly(&self, info: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String, String> {
        let get = self
            .properties
            .fp()
            .get_pipeline_executable_internal_representations_khr;
        let handle = self.device.handle();
        let mut count = 0;
        // SAFETY: asked three times as the specification says: for the count, for the sizes, and
        // for the texts, into buffers of those sizes that outlive the call.
        unsafe {
            let failed = |e: vk::Result| format!("the driver hands no assembly out: {e}");
            get(handle, info, &mut count, std::ptr::null_mut())
                .result()
                .map_err(failed)?;
            let empty = vk::PipelineExecutableInternalRepresentationKHR::default();
            let mut found = vec![empty; count as usize];
            get(handle, info, &mut count, found.as_mut_ptr())
                .result()
                .map_err(failed)?;
            let mut texts: Vec<Vec<u8>> = found.iter().map(|one| vec![0; one.data_size]).collect();
            for (one, text) in found.iter_mut().zip(&mut texts) {
                one.p_data = text.as_mut_ptr().cast();
            }
            get(handle, info, &mut count, found.as_mut_ptr())
                .result()
                .map_err(failed)?;
            let mut named = found.iter().zip(&texts).map(|(one, text)| {
                let name = CStr::from_ptr(one.name.as_ptr()).to_string_lossy();
                (name.into_owned(), text)
            });
            let text = named.find(|(name, _)| name.to_lowercase().contains("assembly"));
            let (_, text) = text.ok_or("the driver hands no assembly out")?;
            let text = String::from_utf8_lossy(text);
            Ok(text.trim_end_matches('\0').to_owned())
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: nothing made from them is left.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}
