// Provider of table, what elements are normalised with (see norm_table), in storage. The body gives
// its binding as TABLE.

@group(0) @binding(TABLE) var<storage, read> table: array<vec4<f32>>;
