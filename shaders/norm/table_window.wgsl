// Provider of table, what elements are normalised with (see norm_table), through a window of a
// uniform binding, which CPU adapters read ten times as fast as storage. The body gives its binding
// as TABLE.

@group(0) @binding(TABLE) var<uniform> table: array<vec4<f32>, 4096>;
