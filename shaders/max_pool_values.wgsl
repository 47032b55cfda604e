// Provider of store_indices: nobody reads them.

@group(0) @binding(2) var<uniform> params: Params;

fn store_indices(o: u32, outputs: u32, indices: vec4<u32>) {}
