// Provider of store_indices: nobody reads them. The body gives their number as INDEX.

@group(0) @binding(INDEX) var<uniform> params: Params;

fn store_indices(o: u32, outputs: u32, indices: vec4<u32>) {}
