// Provider of the matrices of cooperative_units: 8 x 8.

const EDGE: u32 = 8u;

alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;
